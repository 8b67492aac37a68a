import type { Settled } from './group.ts';

/**
 * Flushes a group; when it is refused as a whole although only some item can be at fault, halves it until the fault is alone
 * (R24). One poisoned item among n costs about 2 log2 n flushes and only itself.
 *
 * @param divisible whether the error can be the fault of one item. Others settle the whole group.
 */
export async function bisect<Item, Result>(
  items: Item[],
  flush: (items: Item[]) => Promise<Result[]>,
  divisible: (error: unknown) => boolean,
): Promise<Settled<Result>[]> {
  try {
    return (await flush(items)).map((value) => ({ value }));
  } catch (error) {
    if (items.length <= 1 || !divisible(error)) return items.map(() => ({ error: error as Error }));
    const middle = items.length >> 1;
    const left = await bisect(items.slice(0, middle), flush, divisible);
    return [...left, ...(await bisect(items.slice(middle), flush, divisible))];
  }
}
