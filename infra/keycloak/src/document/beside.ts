import { policyDocument, type PolicyDocument } from '@postern/policy';
import { z } from 'zod';

import { type Reading } from './reading.ts';
import { type Path } from './toml.ts';

const LONGEST_CHARACTERS = 1_048_576;

const publicKey = z
  .looseObject({ kty: z.enum(['EC', 'RSA', 'OKP']), kid: z.string().min(1).max(256) })
  .refine((key) => !['d', 'k', 'p', 'q', 'dp', 'dq', 'qi'].some((part) => part in key));
const jwks = z.strictObject({ keys: z.array(publicKey).min(1).max(16) });

export type Jwks = { keys: Record<string, unknown>[] };

/** The JSON of a file that the document names; a problem at its key where it cannot be used. */
function jsonBeside<T>(reading: Reading, at: Path, name: string, shape: z.ZodType<T>, what: string): T | undefined {
  const text = reading.beside(name);
  if (text === undefined) return void reading.refuse(at, 'names a file that is not there');
  if (text.length > LONGEST_CHARACTERS) return void reading.refuse(at, 'names a file longer than 1 MiB');
  try {
    const parsed = shape.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    const [first] = parsed.error.issues;
    return void reading.refuse(at, `names a file that is not ${what}, first at ${first?.path.join('.') || 'its top'}`);
  } catch {
    return void reading.refuse(at, 'names a file that is not JSON');
  }
}

export const policyBeside = (reading: Reading, at: Path, name: string): PolicyDocument | undefined =>
  jsonBeside(reading, at, name, policyDocument, 'a policy document');

/** Public keys of a client; a private one is refused. */
export const jwksBeside = (reading: Reading, at: Path, name: string): Jwks | undefined =>
  jsonBeside(reading, at, name, jwks, 'a JWKS of public keys with a kid each');
