/** The value that a share of `values` (0 to 1) doesn't exceed. `NaN` for no values. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? Number.NaN;
}

/** The middle value; of an even number the mean of the two in the middle. `NaN` for no values. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const [upper, lower] = [sorted[half] ?? Number.NaN, sorted[half - 1] ?? Number.NaN];
  return sorted.length % 2 === 0 ? (lower + upper) / 2 : upper;
}

/** The line of least squares: its slope (y per x), and how far chance alone moves that slope (standard error). */
export function linearFit(points: readonly { x: number; y: number }[]): { slope: number; error: number } {
  const n = points.length;
  const [meanX, meanY] = [sum(points.map(({ x }) => x)) / n, sum(points.map(({ y }) => y)) / n];
  const spread = sum(points.map(({ x }) => (x - meanX) ** 2));
  const slope = sum(points.map(({ x, y }) => (x - meanX) * (y - meanY))) / spread;
  const rest = sum(points.map(({ x, y }) => (y - meanY - slope * (x - meanX)) ** 2));
  return { slope, error: Math.sqrt(rest / Math.max(1, n - 2) / spread) };
}

/** All of them added. */
export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
