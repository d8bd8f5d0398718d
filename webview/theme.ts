/** The colours of the VS Code theme for what is drawn on canvases, where style sheets do not reach. */

export interface Palette {
  foreground: string;
  muted: string;
  background: string;
  /** Lines of a chart's grid: barely there, solid in high contrast. */
  grid: string;
  focus: string;
  blue: string;
  green: string;
  purple: string;
  red: string;
  fontFamily: string;
  /** Pixels. */
  fontSize: number;
  /** A high-contrast theme or forced colours: shapes must not rely on tints. */
  highContrast: boolean;
  /** A light theme: colours must be dark to be seen. */
  light: boolean;
}

const forcedColors = window.matchMedia('(forced-colors: active)');

/** Reads the theme that holds now. */
export function readPalette(): Palette {
  const styles = getComputedStyle(document.body);
  const highContrast = /\bvscode-high-contrast/.test(document.body.className) || forcedColors.matches;
  const colour = (variable: string, fallback: string): string => {
    if (forcedColors.matches) return fallback;
    return styles.getPropertyValue(variable).trim() || fallback;
  };
  const foreground = colour('--vscode-foreground', 'CanvasText');
  const series = (name: string): string => colour(`--vscode-charts-${name}`, foreground);
  return {
    foreground,
    muted: highContrast ? foreground : colour('--vscode-descriptionForeground', foreground),
    background: colour('--vscode-editor-background', 'Canvas'),
    grid: withOpacity(foreground, highContrast ? 0.35 : 0.1),
    focus: colour('--vscode-focusBorder', 'Highlight'),
    blue: series('blue'),
    green: series('green'),
    purple: series('purple'),
    red: series('red'),
    fontFamily: styles.fontFamily,
    fontSize: Number.parseFloat(styles.fontSize) || 13,
    highContrast,
    light: /\bvscode-(high-contrast-)?light\b/.test(document.body.className),
  };
}

/** Calls back after every change of the theme; returns a function that ends this. */
export function onThemeChange(listener: () => void): () => void {
  const observer = new MutationObserver(listener);
  observer.observe(document.body, { attributes: true, attributeFilter: ['class', 'data-vscode-theme-id'] });
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ['style'] });
  forcedColors.addEventListener('change', listener);
  return () => {
    observer.disconnect();
    forcedColors.removeEventListener('change', listener);
  };
}

const pen = document.createElement('canvas').getContext('2d');

/** Any CSS colour with another opacity, 0 … 1. */
export function withOpacity(colour: string, opacity: number): string {
  if (pen === null) return colour;
  pen.fillStyle = colour;
  const resolved = pen.fillStyle;
  // The canvas gives back "#rrggbb" for opaque colours and "rgba(r, g, b, a)" for others.
  const hex = /^#(..)(..)(..)$/.exec(resolved);
  if (hex) {
    const [red, green, blue] = hex.slice(1).map(channel => Number.parseInt(channel, 16));
    return `rgba(${red}, ${green}, ${blue}, ${opacity})`;
  }
  return resolved.replace(/[\d.]+\)$/, `${opacity})`);
}
