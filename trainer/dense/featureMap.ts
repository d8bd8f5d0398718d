/** Feature maps as the views read them: plain arrays, no engine. */

/** Rows and columns of a map in student geometry that hold image rather than padding. */
export interface ValidCells {
  rows: number;
  columns: number;
}

/** Dense features of one image in student geometry: longest side to the padded square, padding right and below. */
export interface FeatureMap {
  /** [rows, columns, dimension], row-major. */
  features: Float32Array;
  rows: number;
  columns: number;
  dimension: number;
  valid: ValidCells;
}

/** The size of a map without its values. */
export type MapSize = Pick<FeatureMap, 'rows' | 'columns' | 'valid'>;

/** Throws when the parts of a map do not fit each other. */
export function checkFeatureMap({ features, rows, columns, dimension, valid }: FeatureMap): void {
  if (features.length !== rows * columns * dimension)
    throw new Error(`${features.length} values are not a ${rows} × ${columns} map of ${dimension} channels`);
  if (valid.rows < 1 || valid.columns < 1 || valid.rows > rows || valid.columns > columns)
    throw new Error(`${valid.rows} × ${valid.columns} valid cells do not fit a ${rows} × ${columns} map`);
}

/** Indices of the cells that hold image, row-major. */
export function validCellIndices({ columns, valid }: MapSize): Int32Array {
  const indices = new Int32Array(valid.rows * valid.columns);
  for (let index = 0; index < indices.length; index++)
    indices[index] = Math.floor(index / valid.columns) * columns + (index % valid.columns);
  return indices;
}

/** The features of the cells that hold image, brought to unit norm: [valid cells, dimension], a copy. */
export function validUnitFeatures(map: FeatureMap): Float32Array {
  checkFeatureMap(map);
  const { features, columns, dimension, valid } = map;
  const rowLength = valid.columns * dimension;
  const result = new Float32Array(valid.rows * rowLength);
  for (let row = 0; row < valid.rows; row++) {
    const start = row * columns * dimension;
    result.set(features.subarray(start, start + rowLength), row * rowLength);
  }
  return toUnitRows(result, dimension);
}

/** Rows divided by their Euclidean norm, in place; zero rows stay zero. */
export function toUnitRows(rows: Float32Array, dimension: number): Float32Array {
  for (let start = 0; start < rows.length; start += dimension) {
    let squared = 0;
    for (let index = start; index < start + dimension; index++) squared += rows[index]! * rows[index]!;
    const norm = Math.max(Math.sqrt(squared), 1e-12);
    for (let index = start; index < start + dimension; index++) rows[index]! /= norm;
  }
  return rows;
}
