/** Choices that a seed repeats (mulberry32); not for secrets. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export type RandomCase = { context: Record<string, string>; plaintext: Buffer; frameLength: number; version: number };

/** A context of any Unicode text, a plaintext of none to several frames, one of `versions` key versions. */
export function randomCase(next: () => number, versions: number): RandomCase {
  const upTo = (most: number): number => Math.floor(next() * (most + 1));
  const character = (): string => {
    const [low, high] = RANGES[upTo(RANGES.length - 1)] ?? [0x61, 0x7a];
    return String.fromCodePoint(low + upTo(high - low));
  };
  const text = (most: number): string => Array.from({ length: upTo(most) }, character).join('');
  const pairs = Array.from({ length: upTo(6) }, () => [character() + text(12), text(30)] as const);
  const frameLength = [64, 1000, 4096, 65_536][upTo(3)] ?? 4096;
  const frames = upTo(3) + (next() < 0.5 ? 0 : next());
  return {
    // Two keys of one text are one pair.
    context: Object.fromEntries(pairs),
    plaintext: Buffer.alloc(Math.floor(frames * frameLength), upTo(255)),
    frameLength,
    version: upTo(versions - 1),
  };
}

/** Controls, ASCII, Latin, beyond, below and above the surrogates, and beyond the basic plane. */
const RANGES = [
  [0x00, 0x1f],
  [0x20, 0x7e],
  [0x80, 0x24f],
  [0x3040, 0x9fff],
  [0xd700, 0xd7ff],
  [0xe000, 0xffff],
  [0x10000, 0x10ffff],
] as const;
