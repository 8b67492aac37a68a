import { z } from 'zod';
import { base64Of } from './base64.ts';

const KIB = 1024;
const MAX_INPUT_BYTES = 64 * KIB;
export const MAC_BODY_BYTES = 96 * KIB;

/** Names stand in the log: they name a use, nobody. */
export const keyName = z
  .string()
  .regex(/^[a-z][a-z0-9._-]{0,63}$/)
  .describe('the name of the key; each name has a key of its own');

export const macInput = { name: keyName, input: base64Of(MAX_INPUT_BYTES) };
