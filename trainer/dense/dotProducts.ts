/** Inner products of many rows, the one hot loop of the views. Products are added in double precision. */

/**
 * Inner product of each row of `points` with each row of `vectors`.
 *
 * @param points [n, dimension].
 * @param vectors [m, dimension].
 * @param target [n, m], written.
 */
export function dotProducts(
  points: Float32Array,
  vectors: Float32Array,
  dimension: number,
  target: Float32Array,
): Float32Array {
  const count = vectors.length / dimension;
  const blocked = count - (count % 4);
  for (let first = 0; first < blocked; first += 4) fourVectors(points, vectors, dimension, first, target);
  for (let vector = blocked; vector < count; vector++) oneVector(points, vectors, dimension, vector, target);
  return target;
}

/** Four vectors at once: a value of a point, once loaded, serves four products. */
function fourVectors(
  points: Float32Array,
  vectors: Float32Array,
  dimension: number,
  first: number,
  target: Float32Array,
): void {
  const count = vectors.length / dimension;
  const a = first * dimension;
  const b = a + dimension;
  const c = b + dimension;
  const d = c + dimension;
  let output = first;
  for (let start = 0; start < points.length; start += dimension, output += count) {
    let sumA = 0;
    let sumB = 0;
    let sumC = 0;
    let sumD = 0;
    for (let channel = 0; channel < dimension; channel++) {
      const value = points[start + channel]!;
      sumA += value * vectors[a + channel]!;
      sumB += value * vectors[b + channel]!;
      sumC += value * vectors[c + channel]!;
      sumD += value * vectors[d + channel]!;
    }
    target[output] = sumA;
    target[output + 1] = sumB;
    target[output + 2] = sumC;
    target[output + 3] = sumD;
  }
}

/** One vector against four points at once. */
function oneVector(
  points: Float32Array,
  vectors: Float32Array,
  dimension: number,
  vector: number,
  target: Float32Array,
): void {
  const count = vectors.length / dimension;
  const rows = points.length / dimension;
  const offset = vector * dimension;
  let row = 0;
  for (; row + 3 < rows; row += 4) {
    const a = row * dimension;
    const b = a + dimension;
    const c = b + dimension;
    const d = c + dimension;
    let sumA = 0;
    let sumB = 0;
    let sumC = 0;
    let sumD = 0;
    for (let channel = 0; channel < dimension; channel++) {
      const value = vectors[offset + channel]!;
      sumA += points[a + channel]! * value;
      sumB += points[b + channel]! * value;
      sumC += points[c + channel]! * value;
      sumD += points[d + channel]! * value;
    }
    target[row * count + vector] = sumA;
    target[(row + 1) * count + vector] = sumB;
    target[(row + 2) * count + vector] = sumC;
    target[(row + 3) * count + vector] = sumD;
  }
  for (; row < rows; row++)
    target[row * count + vector] = dotOfRows(points, row * dimension, vectors, offset, dimension);
}

/** Inner product of two rows given by their first elements. */
export function dotOfRows(
  left: Float32Array,
  leftStart: number,
  right: Float32Array,
  rightStart: number,
  dimension: number,
): number {
  // Four sums, because each addition would otherwise wait for the one before it.
  let sumA = 0;
  let sumB = 0;
  let sumC = 0;
  let sumD = 0;
  const blocked = dimension - (dimension % 4);
  for (let channel = 0; channel < blocked; channel += 4) {
    sumA += left[leftStart + channel]! * right[rightStart + channel]!;
    sumB += left[leftStart + channel + 1]! * right[rightStart + channel + 1]!;
    sumC += left[leftStart + channel + 2]! * right[rightStart + channel + 2]!;
    sumD += left[leftStart + channel + 3]! * right[rightStart + channel + 3]!;
  }
  for (let channel = blocked; channel < dimension; channel++)
    sumA += left[leftStart + channel]! * right[rightStart + channel]!;
  return sumA + sumB + sumC + sumD;
}
