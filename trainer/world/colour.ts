import type { KeyedRandom } from '../random.ts';
import type { ColourMatrix } from './drawSprite.ts';

/** Red, green and blue, 0 … 255. */
export type Colour = readonly [number, number, number];

export const between = (random: KeyedRandom, low: number, high: number): number =>
  low + (high - low) * random.float();

/** @param hue In turns; `saturation` and `lightness` from 0 to 1. */
function hsl(hue: number, saturation: number, lightness: number): Colour {
  const spread = saturation * Math.min(lightness, 1 - lightness);
  const channel = (shift: number): number => {
    const place = (((shift + hue * 12) % 12) + 12) % 12;
    return 255 * (lightness - spread * Math.max(-1, Math.min(place - 3, 9 - place, 1)));
  };
  return [channel(0), channel(8), channel(4)];
}

/** A colour drawn from ranges of hue (in turns), saturation and lightness. */
export const drawColour = (
  random: KeyedRandom,
  hue: readonly [number, number],
  saturation: readonly [number, number],
  lightness: readonly [number, number],
): Colour => hsl(between(random, ...hue), between(random, ...saturation), between(random, ...lightness));

/** Weights of red, green and blue in what the eye takes for brightness. */
const luminance = [0.299, 0.587, 0.114] as const;

/**
 * A change of colour: hue turned about the grey axis, saturation and brightness scaled.
 *
 * @param hue In turns.
 */
export function colourMatrix(hue: number, saturation: number, brightness: number): ColourMatrix {
  const [cosine, sine] = [Math.cos(2 * Math.PI * hue), Math.sin(2 * Math.PI * hue)];
  const third = (1 - cosine) / 3;
  const root = sine / Math.sqrt(3);
  const turn = [
    cosine + third,
    third - root,
    third + root,
    third + root,
    cosine + third,
    third - root,
    third - root,
    third + root,
    cosine + third,
  ];
  return turn.map((factor, index) => {
    const column = index % 3;
    // Turning keeps the sum of the channels; the grey part is measured on the colour as it was.
    return brightness * (saturation * factor + (1 - saturation) * luminance[column]!);
  });
}
