/** Eigenvalues of a symmetric matrix, largest first, with their eigenvectors as rows of unit length. */
export interface SymmetricEigen {
  /** [n]. */
  values: Float64Array;
  /** [n, n]. */
  vectors: Float64Array;
}

/**
 * Jacobi's method with cyclic sweeps (Golub and Van Loan, Matrix Computations, section 8.5); for small matrices.
 *
 * @param matrix [n, n], symmetric.
 */
export function symmetricEigen(matrix: Float64Array, n: number): SymmetricEigen {
  const work = matrix.slice();
  const vectors = new Float64Array(n * n);
  for (let index = 0; index < n; index++) vectors[index * n + index] = 1;
  const scale = work.reduce((total, value) => total + value * value, 0);
  for (let sweep = 0; sweep < 50 && offDiagonal(work, n) > 1e-30 * scale; sweep++)
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) rotate(work, vectors, n, p, q);
  const order = Array.from({ length: n }, (_, index) => index).sort(
    (a, b) => work[b * n + b]! - work[a * n + a]!,
  );
  const sorted = new Float64Array(n * n);
  order.forEach((from, to) => {
    sorted.set(vectors.subarray(from * n, (from + 1) * n), to * n);
  });
  return { values: Float64Array.from(order, index => work[index * n + index]!), vectors: sorted };
}

function offDiagonal(matrix: Float64Array, n: number): number {
  let total = 0;
  for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) total += matrix[p * n + q]! ** 2;
  return total;
}

/** Makes element (p, q) zero and applies the same rotation to the rows of `vectors`. */
function rotate(matrix: Float64Array, vectors: Float64Array, n: number, p: number, q: number): void {
  const element = matrix[p * n + q]!;
  if (element === 0) return;
  const theta = (matrix[q * n + q]! - matrix[p * n + p]!) / (2 * element);
  const tangent = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const cosine = 1 / Math.sqrt(tangent * tangent + 1);
  const sine = tangent * cosine;
  for (let index = 0; index < n; index++) mix(matrix, index * n + p, index * n + q, cosine, sine);
  for (let index = 0; index < n; index++) mix(matrix, p * n + index, q * n + index, cosine, sine);
  for (let index = 0; index < n; index++) mix(vectors, p * n + index, q * n + index, cosine, sine);
}

function mix(values: Float64Array, one: number, other: number, cosine: number, sine: number): void {
  const a = values[one]!;
  const b = values[other]!;
  values[one] = cosine * a - sine * b;
  values[other] = sine * a + cosine * b;
}
