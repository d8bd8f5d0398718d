/** Mean features under binary masks, as rows of a pooling matrix like those of RoIAlign. */

/**
 * One row per mask: 1 / area on the cells inside, 0 outside; an empty mask gives a zero row.
 *
 * @param masks [count, cells], non-zero inside.
 * @param cells Cells of the feature map.
 */
export function maskPoolingRows(masks: Uint8Array, cells: number): Float32Array {
  if (cells < 1 || masks.length % cells !== 0) {
    throw new Error(`${masks.length} mask values are not whole masks of ${cells} cells`);
  }
  const rows = new Float32Array(masks.length);
  for (let start = 0; start < masks.length; start += cells) {
    let area = 0;
    for (let cell = 0; cell < cells; cell++) if (masks[start + cell] !== 0) area++;
    if (area === 0) continue;
    for (let cell = 0; cell < cells; cell++) if (masks[start + cell] !== 0) rows[start + cell] = 1 / area;
  }
  return rows;
}
