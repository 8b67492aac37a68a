import { z } from 'zod';
import { generateValue, type Generated, keyAlgorithms } from '../../secrets/generate/generate-value.ts';
import { givenValue, value } from './secret-view.ts';

const least = (of: string) => z.int().min(0).max(64).default(1).describe(`as many ${of} at least`);

/** What shall be made here, so that nobody need see it. */
export const generate = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('random'),
    bytes: z.int().min(16).max(1024).default(32).describe('how many'),
    as: z.enum(['hex', 'base64url', 'bytes']).default('base64url'),
  }),
  z.strictObject({
    kind: z.literal('password'),
    length: z.int().min(8).max(256).default(24).describe('characters'),
    lower: least('small letters'),
    upper: least('capital letters'),
    digits: least('digits'),
    symbols: least('others'),
    exclude: z.string().max(94).default('').describe('characters that it must not have'),
  }),
  z.strictObject({ kind: z.literal('key_pair'), algorithm: z.enum(keyAlgorithms).default('ed25519') }),
]);

/** A value that is given, or what makes one. */
export const newValue = {
  value: value.optional(),
  generate: generate.optional(),
};

export const oneOfBoth = ({ value, generate }: { value?: unknown; generate?: unknown }): boolean =>
  (value === undefined) !== (generate === undefined);

type Given = { value?: z.output<typeof value> | undefined; generate?: z.output<typeof generate> | undefined };

/** @throws Problem `rules_contradict` */
export function valueFrom({ value: given, generate: asked }: Given): Generated {
  if (asked) return generateValue(asked);
  if (!given) throw new TypeError('the schema wants one of both');
  return { value: givenValue(given), publicKey: null };
}
