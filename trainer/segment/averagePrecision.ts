/**
 * Average precision of a ranking: the area under its precision–recall curve, precision being the best reached at that
 * recall or a higher one (all points, as PASCAL VOC computes it since 2010). Equal scores share one point of the curve,
 * so that the order of the data does not count.
 *
 * @param scores Higher comes first.
 * @param positive By the position of the score.
 * @returns null where nothing is positive.
 */
export function averagePrecision(
  scores: Float32Array,
  positive: (position: number) => boolean,
): number | null {
  const order = Uint32Array.from(scores, (_, position) => position);
  order.sort((a, b) => scores[b]! - scores[a]!);
  const points: { found: number; precision: number }[] = [];
  let found = 0;
  for (let place = 0; place < order.length; place++) {
    if (positive(order[place]!)) found++;
    const isLast = place + 1 === order.length || scores[order[place + 1]!] !== scores[order[place]!];
    if (isLast) points.push({ found, precision: found / (place + 1) });
  }
  if (found === 0) return null;
  let [area, best, above] = [0, 0, found];
  for (let point = points.length - 1; point >= 0; point--) {
    best = Math.max(best, points[point]!.precision);
    const below = points[point - 1]?.found ?? 0;
    area += (above - below) * best;
    above = below;
  }
  return area / found;
}
