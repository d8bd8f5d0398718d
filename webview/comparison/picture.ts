import type { CurveCard } from '../curveCard.ts';
import { paintSample, sampleWidth } from '../curveSample.ts';
import type { Palette } from '../theme.ts';
import type { Curve } from '../training/lineChart.ts';

/** Sizes that charts are saved at, in pixels. */
export const pictureSizes: readonly (readonly [width: number, height: number])[] = [
  [1200, 900],
  [1600, 1200],
  [2400, 1800],
  [3200, 2400],
];

const [MARGIN, LEGEND, HEADING] = [24, 28, 26];

/** All charts in rows under one legend, as a PNG of exactly this size. */
export async function chartsPng(
  cards: readonly CurveCard[],
  legend: readonly { look: Curve; name: string }[],
  palette: Palette,
  width: number,
  height: number,
): Promise<ArrayBuffer> {
  if (cards.length === 0) throw new Error('There is no chart to save yet.');
  const picture = new OffscreenCanvas(width, height);
  const context = picture.getContext('2d');
  if (context === null) throw new Error('The picture cannot be drawn here.');
  context.fillStyle = palette.background;
  context.fillRect(0, 0, width, height);
  context.textBaseline = 'middle';
  context.font = `14px ${palette.fontFamily}`;
  let left = MARGIN;
  for (const { look, name } of legend) {
    paintSample(context, look, palette, left, MARGIN, 1.2);
    context.fillStyle = palette.foreground;
    left += sampleWidth(1.2) + 8;
    context.fillText(name, left, MARGIN);
    left += context.measureText(name).width + 24;
  }
  const columns = Math.ceil(Math.sqrt(cards.length));
  const rows = Math.ceil(cards.length / columns);
  const top = MARGIN + LEGEND;
  const cellWidth = Math.floor((width - MARGIN * (columns + 1)) / columns);
  const cellHeight = Math.floor((height - top - MARGIN * rows) / rows);
  const chartHeight = cellHeight - HEADING;
  if (chartHeight < 60) throw new Error('Too many charts for this size: choose a larger one.');
  for (const [index, card] of cards.entries()) {
    const x = MARGIN + (index % columns) * (cellWidth + MARGIN);
    const y = top + Math.floor(index / columns) * (cellHeight + MARGIN);
    context.fillStyle = palette.foreground;
    context.font = `600 14px ${palette.fontFamily}`;
    context.fillText(card.title, x, y + HEADING / 2);
    context.drawImage(card.picture(cellWidth, chartHeight), x, y + HEADING);
  }
  return (await picture.convertToBlob({ type: 'image/png' })).arrayBuffer();
}
