import { createHmac, createPublicKey, randomBytes, type JsonWebKey } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT, type JWK } from 'jose';
import { request } from 'undici';
import type { Random } from '../random.ts';
import type { Attack, Cast, Door, Over } from './doors.ts';

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const decoded = (part = '') => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
const seconds = () => Math.floor(Date.now() / 1000);

/** The token under a changed header, with its own signature. */
function reheaded(token: string, header: object): string {
  const [head, ...rest] = token.split('.');
  return [encoded({ ...decoded(head), ...header }), ...rest].join('.');
}

/** The same claims under a changed header, signed by a key that nobody trusts. */
async function resigned(token: string, header: object): Promise<string> {
  const { privateKey } = await generateKeyPair('ES256');
  const [, claims] = token.split('.');
  const signed = await new SignJWT(decoded(claims)).setProtectedHeader({ alg: 'ES256' }).sign(privateKey);
  return [...reheaded(token, header).split('.').slice(0, 2), signed.split('.')[2]].join('.');
}

/** HMAC with what everybody can read of the issuer's key. */
async function underPublicKey(token: string, { issuer }: Door, { portal }: Cast, { one }: Random): Promise<string> {
  const answer = await request(issuer.entry.jwksUri, { dispatcher: portal.agent });
  const [key] = ((await answer.body.json()) as { keys: JWK[] }).keys;
  const spki = createPublicKey({ key: key as JsonWebKey, format: 'jwk' });
  const secret = one([
    JSON.stringify(key),
    spki.export({ type: 'spki', format: 'pem' }),
    spki.export({ type: 'spki', format: 'der' }),
    Buffer.from(String(key?.x), 'base64url'),
    '',
  ]);
  const bits = one([256, 384, 512]);
  const input = reheaded(token, { alg: `HS${bits}` })
    .split('.')
    .slice(0, 2)
    .join('.');
  return `${input}.${createHmac(`sha${bits}`, secret).update(input).digest('base64url')}`;
}

/** One character of it is another. */
function flipped(token: string, { next, one }: Random): string {
  const at = Math.floor(next() * token.length);
  const alphabet = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.'];
  return token.slice(0, at) + one(alphabet.filter((char) => char !== token[at])) + token.slice(at + 1);
}

function encrypted({ one }: Random): string {
  const header = one([
    { alg: 'dir', enc: 'A256GCM', zip: 'DEF' },
    { alg: 'ECDH-ES', enc: 'A128GCM' },
  ]);
  const parts = [Buffer.alloc(0), randomBytes(12), randomBytes(one([64, 8_000])), randomBytes(16)];
  return [encoded(header), ...parts.map((part) => part.toString('base64url'))].join('.');
}

/** Unsigned and forged tokens, confused algorithms, keys that the token itself brings, and claims that do not hold (RFC 8725). */
export function forgeries(cast: Cast): Attack[] {
  const { canary } = cast;
  const changed =
    (change: (token: string, random: Random, door: Door) => Promise<string> | string): Attack =>
    async (door, random) =>
      door.present(await change(await door.mint(), random, door));
  const said =
    (over: (random: Random) => Over): Attack =>
    async (door, random) =>
      door.present(await door.mint(over(random)));
  const claims = (of: (random: Random) => Record<string, unknown>) => said((random) => ({ claims: of(random) }));
  return [
    changed((token, { one }) => {
      const [head, body, signature] = reheaded(token, { alg: one(['none', 'None', 'nOnE', '', null]) }).split('.');
      return [head, body, one(['', 'AAAA', signature])].join('.');
    }),
    changed((token, random, door) => underPublicKey(token, door, cast, random)),
    changed((token) => resigned(token, {})),
    changed((token, { one }) =>
      resigned(token, { kid: one(['../../x', "' or 1=1 --", 'k'.repeat(10_000), canary, '', 7, null]) }),
    ),
    changed(async (token, { one }) => {
      const jwk = await exportJWK((await generateKeyPair('ES256', { extractable: true })).publicKey);
      return resigned(token, one([{ jku: canary }, { x5u: canary }, { jwk }, { x5c: [canary] }, { jku: canary, jwk }]));
    }),
    changed((token, { one }) => reheaded(token, one([{ crit: ['exp'] }, { b64: false, crit: ['b64'] }, { crit: [] }]))),
    changed((_, random) => encrypted(random)),
    changed(flipped),
    changed(flipped),
    changed((token, { next }) => token.slice(0, 1 + Math.floor(next() * (token.length - 1)))),
    changed((token, { one }) => `${token}${one(['=', '.', '.AAAA', 'A'])}`),
    claims(({ one }) => ({ [one(['iss', 'aud', 'exp', 'iat', 'sub'])]: undefined })),
    claims(({ one }) => ({ iss: one([canary, 'https://127.0.0.1:1', '', 7, ['a']]) })),
    claims(({ one }) => ({ aud: one(['portal', 'TOKEN-EXCHANGE', 'token-exchange/', '', [], ['a', 'b'], { a: 1 }]) })),
    claims(({ one }) => ({ exp: one(['never', -1, 0, seconds() - 1, 1e300, null]) })),
    said(({ one }) => ({ lifetimeSeconds: -one([1, 60, 86_400]) })),
    claims(({ one }) =>
      one([{ nbf: seconds() + 600 }, { iat: seconds() + 600, exp: seconds() + 900 }, { iat: 'now' }, { nbf: 'never' }]),
    ),
    claims(({ one }) => ({ scope: one([7, ['policy:read'], { all: true }, 'x'.repeat(5_000)]) })),
    claims(({ one }) => ({ cnf: one([{}, { jwk: {} }, { 'x5t#S256': 7 }, 'bound', []]) })),
  ];
}
