import { z } from 'zod';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { type Log } from './verify-whole.ts';

const list = z.object({
  keys: z.array(z.object({ verifier: z.string(), generation: z.int(), endorsement: z.string().nullable() })),
});

/** The keys that a log says it ever had (`GET /v1/log/keys`, `keys.json`). @throws CommandFailed (1) where it says nothing of the kind */
export function logKeysIn(text: string): Log['keys'] {
  try {
    return list.parse(JSON.parse(text)).keys;
  } catch {
    throw new CommandFailed(exitCodes.refused, 'what the log says of its keys is no list of keys');
  }
}
