/**
 * Tells the controls' library the nonce of this document's content security policy, where it looks for it: on load the
 * library adds a style element, which the policy would refuse without. Import this before the library.
 */
const nonce = document.currentScript?.nonce;
if (nonce) {
  const meta = document.createElement('meta');
  meta.setAttribute('property', 'csp-nonce');
  meta.content = nonce;
  document.head.append(meta);
}
