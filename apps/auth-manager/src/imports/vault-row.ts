import { createDecipheriv, createHash, timingSafeEqual } from 'node:crypto';
import { Secret } from '@postern/runtime';
import { z } from 'zod';
import { scope, workloadName } from '../grants/grant-answer.ts';

/** A column of bytes as exports spell it: hex, Postgres's `\\x` hex, or base64. */
const bytes = z
  .string()
  .min(1)
  .max(16_384)
  .transform((text, context) => {
    const hex = text.replace(/^\\x/, '');
    if (/^(?:[0-9a-f]{2})+$/i.test(hex)) return Buffer.from(hex, 'hex');
    if (/^[\w+/-]+={0,2}$/.test(text)) return Buffer.from(text, 'base64');
    context.addIssue({ code: 'custom' });
    return z.NEVER;
  });

const handle = z.strictObject({
  workload: workloadName,
  audiences: z.array(workloadName).min(1).max(16),
  scopes: z.array(scope).min(1).max(64),
});

/** The first line of an import: whose rows these are, the key they are sealed with, and what the grants are for. */
export const importHeader = z.strictObject({
  format: z.literal('auth_vault'),
  /** AES-256 key of the old store, 64 hex digits. */
  key: z
    .string()
    .regex(/^[0-9a-f]{64}$/i)
    .transform((hex) => new Secret(hex)),
  /** The issuer that gave the tokens; the administrator's own where it is left out. */
  provider: z.string().max(512).optional(),
  /** What the persons are taken to have consented to. */
  scopes: z.array(scope).min(1).max(64),
  handle,
  /** Everything is looked at, also at the provider, and nothing is stored. */
  dry_run: z.boolean().default(false),
});
export type ImportHeader = z.output<typeof importHeader>;

/** A row of `auth_vault`. What else an export holds of it is not needed. */
const row = z.looseObject({
  id: z.union([z.string().min(1).max(64), z.int()]).transform(String),
  user_id: z.string().min(1).max(256),
  token_type: z
    .string()
    .transform((text) => text.toUpperCase())
    .pipe(z.enum(['OFFLINE', 'REFRESH'])),
  encrypted_token: bytes,
  iv: bytes.refine((iv) => iv.length === 16),
  token_hash: bytes.nullish(),
  session_state_id: z.string().max(256).nullish(),
});
export type VaultRow = z.output<typeof row>;

/** Why a row was not taken. */
export const refusals = [
  'malformed',
  'undecryptable',
  'hash_mismatch',
  'not_active',
  'other_client',
  'other_person',
  'other_kind',
  'certificate_bound_token',
  'being_revoked',
  'quota_exceeded',
  'provider_unavailable',
] as const;
export type RowRefusal = (typeof refusals)[number];

/** Reads a line. Null for what is no row of that table. */
export function readRow(line: string): VaultRow | null {
  try {
    return row.parse(JSON.parse(line));
  } catch {
    return null;
  }
}

/**
 * The token of a row: AES-256-CBC with PKCS#7 padding, as the old store wrote it. That has no authentication: what opens
 * is believed only where the row's own SHA-256 agrees, or the provider knows it.
 */
export function openRow(
  { encrypted_token: sealed, iv, token_hash: hash }: Pick<VaultRow, 'encrypted_token' | 'iv' | 'token_hash'>,
  key: Secret,
): Secret | 'undecryptable' | 'hash_mismatch' {
  const keyBytes = Buffer.from(key.reveal(), 'hex');
  try {
    const decipher = createDecipheriv('aes-256-cbc', keyBytes, iv);
    const token = Buffer.concat([decipher.update(sealed), decipher.final()]);
    const text = new TextDecoder('utf-8', { fatal: true }).decode(token);
    if (!/^[\x21-\x7e]{8,8192}$/.test(text)) return 'undecryptable';
    const digest = createHash('sha256').update(token).digest();
    if (hash && !(hash.length === digest.length && timingSafeEqual(hash, digest))) return 'hash_mismatch';
    return new Secret(text);
  } catch {
    return 'undecryptable';
  } finally {
    keyBytes.fill(0);
  }
}
