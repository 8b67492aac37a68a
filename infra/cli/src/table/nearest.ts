/** How many letters have to be changed, added, left out or swapped with their neighbour to make `a` into `b`. */
function distance(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, at) => [at]);
  const at = (row: number, column: number) => rows[row]?.[column] ?? Infinity;
  for (let column = 0; column <= b.length; column += 1) (rows[0] as number[])[column] = column;
  for (let row = 1; row <= a.length; row += 1)
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1];
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      (rows[row] as number[])[column] = Math.min(
        at(row - 1, column) + 1,
        at(row, column - 1) + 1,
        at(row - 1, column - 1) + (same ? 0 : 1),
        swapped ? at(row - 2, column - 2) + 1 : Infinity,
      );
    }
  return at(a.length, b.length);
}

const LONGEST = 64;

/** The word that was most likely meant: at most a third of its letters are wrong. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > LONGEST) return undefined;
  const [best] = known
    .map((one) => ({ one, off: distance(word, one) }))
    .filter(({ one, off }) => off <= Math.floor(one.length / 3))
    .sort((a, b) => a.off - b.off);
  return best?.one;
}

/** `: do you mean apply?`, or nothing. */
export const meant = (word: string, known: readonly string[]): string => {
  const one = nearest(word, known);
  return one === undefined ? '' : `: do you mean ${one}?`;
};
