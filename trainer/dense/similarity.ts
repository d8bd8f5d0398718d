/** Cosine of every cell of a map with a query: a patch, of this image or another, or a box. */

import { fitLongestSide, type PixelBox } from '../images/geometry.ts';
import { dotProducts } from './dotProducts.ts';
import { checkFeatureMap, type FeatureMap, toUnitRows } from './featureMap.ts';
import { pixelsToCells, roiAlignRows } from './roiPooling.ts';

/** A map whose cells all have unit norm, made once so that a query costs one product a cell. */
export interface UnitMap extends FeatureMap {
  readonly unit: true;
}

/** A copy with features of unit norm. */
export function toUnitMap(map: FeatureMap): UnitMap {
  checkFeatureMap(map);
  return { ...map, features: toUnitRows(map.features.slice(), map.dimension), unit: true };
}

/** The feature of one patch, [dimension]; not a copy. */
export function patchQuery(map: UnitMap, row: number, column: number): Float32Array {
  const { rows, columns } = map.valid;
  const inside = Number.isInteger(row) && Number.isInteger(column) && row >= 0 && column >= 0;
  if (!inside || row >= rows || column >= columns)
    throw new Error(
      `patch ${row},${column} is outside the image, which has rows 0 to ${rows - 1} and columns 0 to ${columns - 1}`,
    );
  const start = (row * map.columns + column) * map.dimension;
  return map.features.subarray(start, start + map.dimension);
}

/**
 * The pooled feature of a box by RoIAlign, as CLIPSelf pools regions: [dimension], unit norm.
 *
 * @param box In pixels of the image file.
 * @param image Size of the image file.
 * @param size Side of the padded student image in pixels.
 */
export function boxQuery(
  map: UnitMap,
  box: PixelBox,
  image: { width: number; height: number },
  size: number,
): Float32Array {
  const grid = { height: map.rows, width: map.columns };
  const { scale } = fitLongestSide(image.width, image.height, size);
  const weights = roiAlignRows(pixelsToCells(Float32Array.from(box), scale, size, grid), grid);
  const pooled = new Float32Array(map.dimension);
  weights.forEach((weight, cell) => {
    if (weight === 0) return;
    const start = cell * map.dimension;
    for (let channel = 0; channel < map.dimension; channel++)
      pooled[channel]! += weight * map.features[start + channel]!;
  });
  if (pooled.every(value => value === 0))
    throw new Error(
      `box ${box.join(',')} holds no part of the image's ${image.width} × ${image.height} pixels`,
    );
  return toUnitRows(pooled, map.dimension);
}

/**
 * Cosine of each cell with a query of unit norm.
 *
 * @param query [dimension], from this map or from another of the same model.
 * @returns [rows, columns], NaN on padding.
 */
export function similarityMap(map: UnitMap, query: Float32Array): Float32Array {
  const { features, rows, columns, dimension, valid } = map;
  if (query.length !== dimension)
    throw new Error(`a query of ${query.length} channels does not fit a map of ${dimension}`);
  const used = features.subarray(0, valid.rows * columns * dimension);
  const values = new Float32Array(rows * columns).fill(Number.NaN);
  dotProducts(used, query, dimension, values);
  if (valid.columns < columns)
    for (let row = 0; row < valid.rows; row++)
      values.fill(Number.NaN, row * columns + valid.columns, (row + 1) * columns);
  return values;
}

/** Smallest and largest value of a map, padding left out. */
export function valueRange(values: Float32Array): { low: number; high: number } {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) throw new Error('the map holds no values');
  return { low, high };
}
