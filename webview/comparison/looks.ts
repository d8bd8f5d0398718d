import type { Marker } from '../training/series.ts';

/** Colour of a run on dark and on light ground, and what tells it apart without colour. */
export interface RunLook {
  name: string;
  dark: string;
  light: string;
  dash: number[];
  marker: Marker;
}

/**
 * Six looks. Hues are those of Okabe and Ito (Color Universal Design, 2008), lightened or darkened so that each stands
 * out from the ground at 3:1 or better; people who see no difference of colour go by dash and marker.
 */
export const runLooks: readonly RunLook[] = [
  { name: 'blue', dark: '#56b4e9', light: '#0072b2', dash: [], marker: 'circle' },
  { name: 'orange', dark: '#e69f00', light: '#b35900', dash: [8, 3], marker: 'rect' },
  { name: 'green', dark: '#22b58a', light: '#00785a', dash: [2, 3], marker: 'triangle' },
  { name: 'purple', dark: '#dd8fb8', light: '#a3417a', dash: [8, 3, 2, 3], marker: 'rectRot' },
  { name: 'yellow', dark: '#f0e442', light: '#756c00', dash: [14, 4], marker: 'crossRot' },
  { name: 'grey', dark: '#d4d4d4', light: '#404040', dash: [4, 4], marker: 'cross' },
];
