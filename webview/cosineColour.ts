/**
 * Colours of cosines. The scale is fixed, 0 … 1, so that two steps or two runs can be compared by eye; cosines below 0
 * take the colour of 0. The map is viridis (Smith and van der Walt, Matplotlib 2.0): its lightness grows evenly, which
 * keeps it readable in grey and for colour-blind eyes.
 */

export type Rgb = readonly [red: number, green: number, blue: number];

const viridis: readonly Rgb[] = [
  [68, 1, 84],
  [71, 45, 123],
  [59, 82, 139],
  [44, 114, 142],
  [33, 145, 140],
  [40, 174, 128],
  [94, 201, 98],
  [173, 220, 48],
  [253, 231, 37],
];

/** Colour where there is no cosine to show. */
const absent: Rgb = [128, 128, 128];

/** Colour of a cosine, interpolated linearly between the anchors of the map; grey when it is not finite. */
export function cosineColour(cosine: number): Rgb {
  if (!Number.isFinite(cosine)) return absent;
  const position = Math.min(Math.max(cosine, 0), 1) * (viridis.length - 1);
  const index = Math.min(Math.floor(position), viridis.length - 2);
  const share = position - index;
  const low = viridis[index]!;
  const high = viridis[index + 1]!;
  const mix = (channel: 0 | 1 | 2): number =>
    Math.round(low[channel] + share * (high[channel] - low[channel]));
  return [mix(0), mix(1), mix(2)];
}

/** CSS form of a colour; `opacity` 0 … 1. */
export function cssColour([red, green, blue]: Rgb, opacity = 1): string {
  return opacity === 1 ? `rgb(${red} ${green} ${blue})` : `rgb(${red} ${green} ${blue} / ${opacity})`;
}

/** The whole scale from 0 to 1 as a CSS gradient towards the right, for legends. */
export function cosineGradient(): string {
  return `linear-gradient(to right, ${viridis.map(colour => cssColour(colour)).join(', ')})`;
}
