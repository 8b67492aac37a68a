import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { problem } from '@postern/runtime';
import { isContent } from './content.ts';
import type { Idempotency, Route } from './declaration.ts';

const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;
const sha256 = (text: string | Buffer): string => createHash('sha256').update(text).digest('base64url');

/**
 * The `Idempotency-Key` of a create: bound to route and caller, so that nobody meets another's.
 * @throws Problem `idempotency_key_missing`, `invalid_input`
 */
export function idempotencyOf(
  { headers }: IncomingMessage,
  route: Route,
  caller: string,
  request: unknown[],
): Idempotency | null {
  const given = headers['idempotency-key'];
  if (given === undefined) {
    if (route.idempotency === 'required') throw problem('idempotency_key_missing');
    return null;
  }
  if (typeof given !== 'string' || !IDEMPOTENCY_KEY.test(given)) {
    throw problem('invalid_input', { fields: [{ field: 'header.idempotency-key', rule: 'not_idempotency_key' }] });
  }
  const parts = request.map((part) => (isContent(part) ? [part.type, sha256(part.bytes)] : part));
  return {
    key: sha256(JSON.stringify([route.method, route.path, caller, given])),
    request: sha256(JSON.stringify(parts)),
  };
}
