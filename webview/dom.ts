/** Short ways to build and change the document without a framework. Text is always text, never markup. */

export interface ElementOptions {
  class?: string;
  text?: string;
  title?: string;
  attributes?: Record<string, string>;
}

/** A new element with children. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  options: ElementOptions = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const created = document.createElement(tag);
  if (options.class) created.className = options.class;
  if (options.text !== undefined) created.textContent = options.text;
  if (options.title !== undefined) created.title = options.title;
  for (const [name, value] of Object.entries(options.attributes ?? {})) created.setAttribute(name, value);
  created.append(...children);
  return created;
}

/** Sets text only when it differs: an unchanged figure costs no layout and a live region does not repeat itself. */
export function setText(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** Sets an attribute only when it differs. */
export function setAttribute(target: Element, name: string, value: string): void {
  if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}

/** A table with a caption for screen readers and header cells in the first row. */
export function createTable(
  caption: string,
  headings: readonly string[],
): { table: HTMLTableElement; body: HTMLElement } {
  const body = element('tbody');
  const row = element(
    'tr',
    {},
    ...headings.map(text => element('th', { text, attributes: { scope: 'col' } })),
  );
  const table = element(
    'table',
    {},
    element('caption', { class: 'screen-reader', text: caption }),
    element('thead', {}, row),
    body,
  );
  return { table, body };
}
