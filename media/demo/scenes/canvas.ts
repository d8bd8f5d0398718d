import type { SceneRandom } from './random.ts';

export interface Point {
  x: number;
  y: number;
}

/** Where something is drawn: a box in pixels, origin at the top left. */
export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

export interface Stroke {
  colour: string;
  width: number;
  opacity?: number;
}

/** Rounds to a tenth of a pixel, so that the SVG text does not depend on the last bits of a sine. */
export function tenth(value: number): string {
  return (Math.round(value * 10) / 10).toString();
}

/** Collects the elements of one SVG picture, back to front. Lengths in pixels. */
export class Canvas {
  readonly width: number;
  readonly height: number;
  readonly random: SceneRandom;
  readonly #definitions = new Map<string, string>();
  readonly #elements: string[] = [];

  constructor(width: number, height: number, random: SceneRandom) {
    this.width = width;
    this.height = height;
    this.random = random;
  }

  /** Adds a definition once per id; returns the id. */
  define(id: string, element: string): string {
    if (!this.#definitions.has(id)) this.#definitions.set(id, element);
    return id;
  }

  /** A top-to-bottom gradient as a fill. Colours are evenly spaced. */
  gradient(...colours: string[]): string {
    const id = `gradient-${colours.join('-').replaceAll(/[^\w-]/g, '')}`;
    const stops = colours.map(
      (colour, at) => `<stop offset="${tenth((at * 100) / (colours.length - 1))}%" stop-color="${colour}"/>`,
    );
    this.define(
      id,
      `<linearGradient id="${id}" x1="0" y1="0" x2="0" y2="1">${stops.join('')}</linearGradient>`,
    );
    return `url(#${id})`;
  }

  /** A round glow as a fill: the colour in the middle, transparent at the rim. */
  glow(colour: string, opacity: number): string {
    const id = `glow-${colour.replaceAll(/\W/g, '')}-${Math.round(opacity * 100)}`;
    const stop = (offset: number, alpha: number) =>
      `<stop offset="${offset}" stop-color="${colour}" stop-opacity="${alpha.toFixed(2)}"/>`;
    this.define(
      id,
      `<radialGradient id="${id}">${stop(0, opacity)}${stop(0.55, opacity * 0.6)}${stop(1, 0)}</radialGradient>`,
    );
    return `url(#${id})`;
  }

  raw(element: string): void {
    this.#elements.push(element);
  }

  rect(box: Box, fill: string, { opacity = 1, radius = 0 } = {}): void {
    this.raw(
      `<rect x="${tenth(box.left)}" y="${tenth(box.top)}" width="${tenth(box.width)}" height="${tenth(box.height)}" ` +
        `rx="${tenth(radius)}" fill="${fill}" fill-opacity="${opacity.toFixed(2)}"/>`,
    );
  }

  ellipse(centre: Point, radiusX: number, radiusY: number, fill: string, opacity = 1): void {
    this.raw(
      `<ellipse cx="${tenth(centre.x)}" cy="${tenth(centre.y)}" rx="${tenth(radiusX)}" ry="${tenth(radiusY)}" ` +
        `fill="${fill}" fill-opacity="${opacity.toFixed(2)}"/>`,
    );
  }

  polygon(points: readonly Point[], fill: string, opacity = 1): void {
    const path = points.map(({ x, y }) => `${tenth(x)},${tenth(y)}`).join(' ');
    this.raw(`<polygon points="${path}" fill="${fill}" fill-opacity="${opacity.toFixed(2)}"/>`);
  }

  line(path: string, { colour, width, opacity = 1 }: Stroke): void {
    this.raw(
      `<path d="${path}" fill="none" stroke="${colour}" stroke-width="${tenth(width)}" stroke-linecap="round" ` +
        `stroke-opacity="${opacity.toFixed(2)}"/>`,
    );
  }

  fill(path: string, fill: string, opacity = 1): void {
    this.raw(`<path d="${path}" fill="${fill}" fill-opacity="${opacity.toFixed(2)}"/>`);
  }

  toSvg(): string {
    const open = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"`;
    const definitions = `<defs>${[...this.#definitions.values()].join('')}</defs>`;
    return `${open} width="${this.width}" height="${this.height}">${definitions}${this.#elements.join('')}</svg>`;
  }
}
