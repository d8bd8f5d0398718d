/** Small symbols drawn as SVG in the colour of the text around them, 16 × 16. */

const paths = {
  stop: 'M3 3h10v10H3z',
  resume: 'M4 2.5v11l9.5-5.5z',
  log: 'M2 3h12v1H2zm0 3h9v1H2zm0 3h12v1H2zm0 3h7v1H2z',
  folder: 'M1.5 3h4.7l1.5 1.5h6.8V13h-13zm1 1v8h11V5.5H7.3L5.8 4z',
  copy: 'M5 2h9v9h-3v3H2V5h3zm1 1v2h5v5h2V3zM3 6v7h7V6z',
  warning: 'M8 1.5 15.2 14H.8zm0 2L2.5 13h11zM7.4 6.5h1.2v3.7H7.4zm0 4.6h1.2v1.2H7.4z',
  error:
    'M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1zm0 1a6 6 0 1 0 0 12A6 6 0 0 0 8 2zm2.3 3 .7.7L8.7 8l2.3 2.3-.7.7L8 8.7 5.7 11l-.7-.7L7.3 8 5 5.7l.7-.7L8 7.3z',
  info: 'M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1zm0 1a6 6 0 1 0 0 12A6 6 0 0 0 8 2zm-.6 5h1.2v4.5H7.4zm0-2.5h1.2v1.2H7.4z',
  add: 'M7.4 2h1.2v5.4H14v1.2H8.6V14H7.4V8.6H2V7.4h5.4z',
  close: 'm8 7.2 4.1-4.1.8.8L8.8 8l4.1 4.1-.8.8L8 8.8l-4.1 4.1-.8-.8L7.2 8 3.1 3.9l.8-.8z',
  swap: 'M4.5 2 5.2 2.7 3.4 4.5H13v1H3.4l1.8 1.8-.7.7L1.5 5zm7 6 3 3-3 3-.7-.7 1.8-1.8H3v-1h9.6l-1.8-1.8z',
  image:
    'M1.5 2.5h13v11h-13zm1 1v6.6l3-3 2.6 2.6 1.9-1.9 3.5 3.5V3.5zm0 8v1h11v-.3L10 9.2 8.1 11.1 5.5 8.5zM10.5 4.5a1.3 1.3 0 1 1 0 2.6 1.3 1.3 0 0 1 0-2.6z',
  pass: 'm6.3 12.2-4-4 .8-.8 3.2 3.2 6.7-6.8.8.8z',
} as const;

export type IconName = keyof typeof paths;

/** A new SVG element; it is decoration and hidden from assistive technology. */
export function icon(name: IconName): SVGSVGElement {
  const namespace = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(namespace, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('width', '16');
  svg.setAttribute('height', '16');
  svg.setAttribute('aria-hidden', 'true');
  svg.classList.add('icon', `icon-${name}`);
  const path = document.createElementNS(namespace, 'path');
  path.setAttribute('d', paths[name]);
  path.setAttribute('fill', 'currentColor');
  path.setAttribute('fill-rule', 'evenodd');
  svg.append(path);
  return svg;
}
