import type { Curve } from '../training/lineChart.ts';
import { runLooks } from './looks.ts';

/** How the curve of a run looks, by its look. */
export const runCurve = (look: number): Curve => {
  const { dark, light, dash, marker } = runLooks[look]!;
  return { colour: palette => (palette.light ? light : dark), width: 2, dash, marker };
};
