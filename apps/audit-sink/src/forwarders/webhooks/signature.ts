import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { Secret } from '@postern/runtime';

export const signatureKinds = ['hmac-sha256', 'ed25519'] as const;
export type SignatureKind = (typeof signatureKinds)[number];

/** What signs a subscription's deliveries, as Standard Webhooks writes it: `whsec_...` or `whsk_...`. */
export type WebhookKey = { kind: SignatureKind; secret: Secret };

const SECRET_BYTES = 32;
/** PKCS #8 of an Ed25519 key before its 32 bytes of seed (RFC 8410 section 7). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

/** A new key; with Ed25519 the public half is what the receiver needs, and the only half it is shown. */
export function makeKey(kind: SignatureKind): { secret: Secret; publicKey: string | null } {
  if (kind === 'hmac-sha256') {
    return { secret: new Secret(`whsec_${randomBytes(SECRET_BYTES).toString('base64')}`), publicKey: null };
  }
  const { privateKey } = generateKeyPairSync('ed25519');
  const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(PKCS8_HEAD.length);
  const own = createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(-SECRET_BYTES);
  return { secret: new Secret(`whsk_${seed.toString('base64')}`), publicKey: `whpk_${own.toString('base64')}` };
}

/** What a receiver checks: `v1,` HMAC-SHA-256 or `v1a,` Ed25519 over `id.timestamp.body`, one for each key that is good. */
export function signaturesOf(
  keys: readonly WebhookKey[],
  { id, timestamp, body }: { id: string; timestamp: number; body: string },
): string {
  const content = Buffer.from(`${id}.${timestamp}.${body}`);
  return keys.map((key) => signatureOf(key, content)).join(' ');
}

function signatureOf({ kind, secret }: WebhookKey, content: Buffer): string {
  const bytes = Buffer.from(secret.reveal().replace(/^wh(sec|sk)_/, ''), 'base64');
  if (kind === 'hmac-sha256') return `v1,${createHmac('sha256', bytes).update(content).digest('base64')}`;
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, bytes]), format: 'der', type: 'pkcs8' });
  return `v1a,${sign(null, content, key).toString('base64')}`;
}

/** The headers of one attempt (Standard Webhooks 1.0). The id is the same at every attempt, the time is not. */
export const webhookHeaders = (
  keys: readonly WebhookKey[],
  { id, body, now }: { id: string; body: string; now: Date },
): Record<string, string> => {
  const timestamp = Math.floor(now.getTime() / 1_000);
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signaturesOf(keys, { id, timestamp, body }),
  };
};
