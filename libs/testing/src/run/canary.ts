import { randomBytes } from 'node:crypto';

/** A text that stands nowhere by chance, to be looked for where it must not be. */
export const newCanary = (): string => `canary-${randomBytes(12).toString('hex')}`;

/** A canary as it would show in texts, dumps and encodings of either. */
export const shapesOf = (canary: string): string[] => [
  canary,
  Buffer.from(canary).toString('hex'),
  Buffer.from(canary).toString('hex').toUpperCase(),
  [...Buffer.from(canary)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  Buffer.from(canary, 'utf8').toString('utf16le'),
  // Base64 at each of the three offsets, without the characters that depend on its neighbours; the URL alphabet has no
  // others here, because the canary is plain ASCII.
  ...[0, 1, 2].flatMap((offset) => {
    const encoded = Buffer.from('x'.repeat(offset) + canary)
      .toString('base64')
      .slice(offset === 0 ? 0 : 4, -4);
    return [encoded, encoded.replaceAll('+', '-').replaceAll('/', '_')];
  }),
];

/** Where a canary stands in a text, in any of its shapes: `place: shape`. Bytes are given as latin1. */
export const leaksOf = (canary: string, place: string, text: string): string[] =>
  [...new Set(shapesOf(canary))].filter((shape) => text.includes(shape)).map((shape) => `${place}: ${shape}`);
