import { cssColour } from '../../trainer/dense/colourMaps.ts';
import { drawLayer, type Layer } from '../../trainer/dense/overlay.ts';
import { type MapGrid, patchBox, patchName } from './featureMap.ts';
import { cellPlacement } from './layerPlacement.ts';

/**
 * The patches of a map as vector graphics, in image pixels: a square for each patch in the colour it is drawn in (only
 * outlined where the view has no colours), named by a title that viewers show under the pointer.
 */
export function gridSvg(
  grid: MapGrid,
  layer: Layer | null,
  opacity: number,
  describe: (patch: number) => string,
): string {
  const pixels = layer === null ? null : drawLayer(layer, cellPlacement(grid), false);
  const squares: string[] = [];
  for (let row = 0; row < grid.valid.rows; row++)
    for (let column = 0; column < grid.valid.columns; column++) {
      const patch = row * grid.columns + column;
      const start = (row * grid.valid.columns + column) * 4;
      const shown = pixels !== null && pixels[start + 3] !== 0;
      const fill = shown
        ? `fill="${cssColour([...pixels.subarray(start, start + 3)])}" fill-opacity="${opacity}"`
        : 'fill="none" stroke="#808080" stroke-width="1"';
      const [x0, y0, x1, y1] = patchBox(grid, patch).map(value => Number(value.toFixed(3)));
      const text = [patchName(grid, patch), describe(patch)].filter(part => part !== '').join(': ');
      squares.push(
        `<rect x="${x0}" y="${y0}" width="${Number((x1! - x0!).toFixed(3))}" height="${Number((y1! - y0!).toFixed(3))}" ${fill}><title>${escapeXml(text)}</title></rect>`,
      );
    }
  const { imageWidth: width, imageHeight: height } = grid;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" shape-rendering="crispEdges">`,
    ...squares,
    '</svg>\n',
  ].join('\n');
}

function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
