import type { CurveCard } from '../curveCard.ts';
import { paintSample, sampleWidth } from '../curveSample.ts';
import type { Palette } from '../theme.ts';

/** Pixels around and between charts, before scaling. */
const MARGIN = 16;
const HEADING = 48;

/** The charts that are drawn, one below the other, with titles and legends. */
export async function chartsPng(cards: readonly CurveCard[], palette: Palette): Promise<ArrayBuffer> {
  const charts = cards.filter(card => !card.isEmpty && card.canvas.width > 0);
  if (charts.length === 0) throw new Error('There is no chart: open the overview of a report that has some.');
  const scale = Math.max(window.devicePixelRatio || 1, 1);
  const width = Math.max(...charts.map(({ canvas }) => canvas.width)) + 2 * MARGIN * scale;
  const height = charts.reduce(
    (sum, { canvas }) => sum + canvas.height + (HEADING + MARGIN) * scale,
    MARGIN * scale,
  );
  const picture = new OffscreenCanvas(Math.ceil(width), Math.ceil(height));
  const context = picture.getContext('2d');
  if (context === null) throw new Error('The picture cannot be drawn here.');
  context.fillStyle = palette.background;
  context.fillRect(0, 0, picture.width, picture.height);
  let top = MARGIN * scale;
  for (const card of charts) {
    drawHeading(context, card, palette, top, scale);
    top += HEADING * scale;
    context.drawImage(card.canvas, MARGIN * scale, top);
    top += card.canvas.height + MARGIN * scale;
  }
  return (await picture.convertToBlob({ type: 'image/png' })).arrayBuffer();
}

function drawHeading(
  context: OffscreenCanvasRenderingContext2D,
  card: CurveCard,
  palette: Palette,
  top: number,
  scale: number,
): void {
  const size = palette.fontSize * scale;
  let x = MARGIN * scale;
  context.fillStyle = palette.foreground;
  context.textBaseline = 'middle';
  context.font = `600 ${size}px ${palette.fontFamily}`;
  context.fillText(`${card.title}, percent`, x, top + size * 0.7);
  context.font = `${size * 0.9}px ${palette.fontFamily}`;
  const middle = top + size * 2.3;
  for (const { look, name } of card.legend()) {
    paintSample(context, look, palette, x, middle, scale);
    const wide = sampleWidth(scale) + 6 * scale;
    context.fillText(name, x + wide, middle);
    x += wide + 16 * scale + context.measureText(name).width;
  }
}
