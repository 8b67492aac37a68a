/**
 * How long to wait after the n-th failure in a row (from 1): doubled each time up to `maxMs`, and of that at least half and
 * the rest by chance, so that many who failed together do not come back together.
 */
export function backoffMs(
  failures: number,
  { baseMs, maxMs, random = Math.random }: { baseMs: number; maxMs: number; random?: () => number },
): number {
  const whole = Math.min(maxMs, baseMs * 2 ** Math.min(failures - 1, 30));
  return Math.round(whole / 2 + (whole / 2) * random());
}
