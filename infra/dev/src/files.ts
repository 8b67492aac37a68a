import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { exportJWK, generateKeyPair, type JWK } from 'jose';

import { type Home } from './state.ts';

const PRIVATE = { mode: 0o600 };

/** Writes JSON that only this user may read, and answers its path. */
export function writeJson(home: Home, name: string, value: unknown): string {
  const path = home.place(name);
  writeFileSync(path, JSON.stringify(value, null, 2) + '\n', PRIVATE);
  return path;
}

/** A random password kept in a file of the home, made at first use. */
export function passwordFile(home: Home, name: string): { path: string; password: string } {
  const path = home.place('secrets', name);
  if (!existsSync(path)) writeFileSync(path, randomBytes(24).toString('base64url') + '\n', PRIVATE);
  return { path, password: readFileSync(path, 'utf8').trim() };
}

/** An ES256 key kept as a private JWK in a file of the home, made at first use. */
export async function keyFile(home: Home, name: string): Promise<{ path: string; publicJwk: JWK }> {
  const path = home.place('secrets', name);
  if (!existsSync(path)) {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    const jwk = { ...(await exportJWK(privateKey)), kid: randomBytes(8).toString('hex'), alg: 'ES256', use: 'sig' };
    writeFileSync(path, JSON.stringify(jwk) + '\n', PRIVATE);
  }
  const { d: _private, ...publicJwk } = JSON.parse(readFileSync(path, 'utf8')) as JWK;
  return { path, publicJwk };
}
