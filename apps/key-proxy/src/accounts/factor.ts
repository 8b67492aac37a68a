import { createHash, randomBytes } from 'node:crypto';
import { type Kysely, type Transaction } from 'kysely';
import { Secret as TotpSecret, TOTP } from 'otpauth';
import { z } from 'zod';
import { type BranchKeys, sealerFor } from '@postern/branch-keys';
import { queryIn, useOnce } from '@postern/postgres';
import { type Now } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { type Account } from './account.ts';

/**
 * A second factor: a code of RFC 6238 (HMAC-SHA-1, 6 digits, 30 s: what every authenticator app has), a step before or
 * after, or one of the recovery codes.
 */
export type Factors = { db: Kysely<Schema>; branchKeys: BranchKeys; now: Now };

const PERIOD_SECONDS = 30;
const STEPS_AROUND = 1;
const KEY_BYTES = 20;
const RECOVERY_CODES = 10;
const RECOVERY_BYTES = 10;

export const otp = z
  .string()
  .regex(/^(\d{6}|[A-Za-z2-7]{4}(-?[A-Za-z2-7]{4}){3})$/, 'six digits, or a recovery code')
  .describe('six digits of the second factor (RFC 6238), or a recovery code');

/** A code that fits, not yet used up: see {@link spendCode}. */
export type FittingCode = { kind: 'totp'; step: number } | { kind: 'recovery'; digest: Buffer };

const totpOf = (key: TotpSecret, label: string) =>
  new TOTP({ issuer: 'Postern', label, secret: key, algorithm: 'SHA1', digits: 6, period: PERIOD_SECONDS });

const recoveryDigest = (code: string): Buffer =>
  createHash('sha256').update(code.replaceAll('-', '').toUpperCase()).digest();

const sealer = (keys: BranchKeys, tenant: string) => sealerFor(keys, { tenant, purpose: 'secrets' });

/** Begins, or begins again: the key counts once a code of it was shown. @returns the key in base32 and as `otpauth:` URI */
export async function enrolFactor(
  tx: Transaction<Schema>,
  { branchKeys, now }: Factors,
  account: Account,
): Promise<{ key: string; uri: string }> {
  const key = new TotpSecret({ size: KEY_BYTES });
  const sealed = await sealer(branchKeys, account.tenant).seal(key.bytes, { account: account.id });
  const values = { sealed, confirmed_at: null, created_at: now() };
  await tx
    .insertInto('factors')
    .values({ account: account.id, ...values })
    .onConflict((conflict) => conflict.column('account').doUpdateSet(values))
    .execute();
  return { key: key.base32, uri: totpOf(key, account.email).toString() };
}

/** Whether the account has a confirmed factor, or one that is being enrolled. */
export async function factorState(db: Kysely<Schema>, account: string): Promise<'none' | 'pending' | 'confirmed'> {
  const row = await db.selectFrom('factors').select('confirmed_at').where('account', '=', account).executeTakeFirst();
  if (!row) return 'none';
  return row.confirmed_at ? 'confirmed' : 'pending';
}

/** The code of an account's factor that this is, or null. Uses nothing up. */
export async function fittingCode(
  { db, branchKeys, now }: Factors,
  { id, tenant, email }: Account,
  code: string,
): Promise<FittingCode | null> {
  if (!/^\d{6}$/.test(code)) {
    const digest = recoveryDigest(code);
    const held = await db
      .selectFrom('recovery_codes')
      .select('digest')
      .where((at) => at.and({ account: id, digest }))
      .executeTakeFirst();
    return held ? { kind: 'recovery', digest } : null;
  }
  const row = await db.selectFrom('factors').select('sealed').where('account', '=', id).executeTakeFirst();
  if (!row) return null;
  const opened = await sealer(branchKeys, tenant).open(row.sealed, { account: id });
  const key = new TotpSecret({ buffer: Uint8Array.from(opened).buffer });
  opened.fill(0);
  const at = now().getTime();
  const delta = totpOf(key, email).validate({ token: code, window: STEPS_AROUND, timestamp: at });
  return delta === null ? null : { kind: 'totp', step: Math.floor(at / 1000 / PERIOD_SECONDS) + delta };
}

/** Uses a code up, in the transaction of what it allows: true once (R16). */
export async function spendCode(tx: Transaction<Schema>, account: string, code: FittingCode): Promise<boolean> {
  if (code.kind === 'recovery') {
    const used = await tx
      .deleteFrom('recovery_codes')
      .where((at) => at.and({ account, digest: code.digest }))
      .returning('account')
      .execute();
    return used.length === 1;
  }
  const lastFits = new Date((code.step + STEPS_AROUND + 2) * PERIOD_SECONDS * 1000);
  return useOnce(queryIn(tx), 'totp', `${account} ${code.step}`, lastFits);
}

/** Makes the factor count, with new recovery codes in place of any others: shown now and never again. */
export async function confirmFactor(tx: Transaction<Schema>, account: string, now: Date): Promise<string[]> {
  await tx.updateTable('factors').set({ confirmed_at: now }).where('account', '=', account).execute();
  await tx.deleteFrom('recovery_codes').where('account', '=', account).execute();
  const codes = Array.from({ length: RECOVERY_CODES }, () =>
    new TotpSecret({ buffer: Uint8Array.from(randomBytes(RECOVERY_BYTES)).buffer }).base32.replace(
      /(.{4})(?=.)/g,
      '$1-',
    ),
  );
  await tx
    .insertInto('recovery_codes')
    .values(codes.map((code) => ({ account, digest: recoveryDigest(code) })))
    .execute();
  return codes;
}

export async function removeFactor(tx: Transaction<Schema>, account: string): Promise<boolean> {
  await tx.deleteFrom('recovery_codes').where('account', '=', account).execute();
  const removed = await tx.deleteFrom('factors').where('account', '=', account).returning('account').execute();
  return removed.length === 1;
}
