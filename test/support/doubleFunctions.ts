/** Functions that JavaScript lacks, in double precision. */

export const sigmoidOf = (x: number): number => 1 / (1 + Math.exp(-x));

/** The error function by its power series: good to 1e-12 for |x| ≤ 3. */
export function errorFunctionOf(x: number): number {
  let power = x;
  let sum = x;
  for (let n = 1; n < 60; n++) {
    power *= (-x * x) / n;
    sum += power / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}
