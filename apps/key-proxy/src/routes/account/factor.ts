import { z } from 'zod';
import { noContent, route } from '@postern/http';
import { problem } from '@postern/runtime';
import { lockedAccount } from '../../accounts/account.ts';
import {
  confirmFactor,
  enrolFactor,
  type Factors,
  factorState,
  fittingCode,
  otp,
  removeFactor,
  spendCode,
} from '../../accounts/factor.ts';
import { OWN_ACCOUNT } from '../../accounts/role-scopes.ts';
import { type Proving, proving } from './proving.ts';

export type FactorDeps = Factors & Proving;

const TOTP = { kind: 'totp' };
const own = { listener: ['api', 'public'], scope: OWN_ACCOUNT, tier: 'auth' } as const;

/** Begins to enrol an authenticator app (RFC 6238): its key, shown once. Nothing changes until a code of it is confirmed. */
export const enrolFactorRoute = (deps: FactorDeps) =>
  route({
    ...own,
    method: 'POST',
    path: '/v1/account/factor',
    audit: 'factor.enrolled',
    summary: 'Begins to enrol a second factor; the answer shows its key once',
    answers: {
      201: z.strictObject({
        key: z.string().describe('base32, to be typed'),
        uri: z.string().describe('otpauth:, for a QR code'),
      }),
    },
    problems: ['account_required', 'factor_exists'],
    async handle({ principal }, audit) {
      return deps.db.transaction().execute(async (tx) => {
        const account = await lockedAccount(tx, principal, deps.issuerUrl);
        if ((await factorState(tx, account.id)) === 'confirmed') throw problem('factor_exists');
        const body = await enrolFactor(tx, deps, account);
        const resource = { type: 'account', id: account.id };
        return audit.within(tx, { resource, details: { kind: 'totp-pending' } }, { status: 201, body });
      });
    },
  });

/** From the first right code on the factor counts. A code is good once, here and at a login (R16). */
export const confirmFactorRoute = (deps: FactorDeps) =>
  route({
    ...own,
    method: 'POST',
    path: '/v1/account/factor/confirm',
    audit: 'factor.enrolled',
    summary: 'Confirms a second factor by a code, or renews the recovery codes of one; shows the codes once',
    body: z.strictObject({ otp }),
    answers: {
      200: z.strictObject({ recovery_codes: z.array(z.string()).describe('each good once, instead of a code') }),
    },
    problems: ['account_required', 'factor_not_found', 'factor_refused', 'login_locked'],
    async handle({ principal, body }, audit) {
      const confirm = () =>
        deps.db.transaction().execute(async (tx) => {
          const account = await lockedAccount(tx, principal, deps.issuerUrl);
          if ((await factorState(tx, account.id)) === 'none') throw problem('factor_not_found');
          const code = await fittingCode({ ...deps, db: tx }, account, body.otp);
          if (!code || !(await spendCode(tx, account.id, code))) throw problem('factor_refused');
          const recovery_codes = await confirmFactor(tx, account.id, deps.now());
          const resource = { type: 'account', id: account.id };
          return audit.within(tx, { resource, details: TOTP }, { status: 200, body: { recovery_codes } });
        });
      return proving(deps, principal, audit, confirm);
    },
  });

/** Takes one's factor away, by a code of it. */
export const removeFactorRoute = (deps: FactorDeps) =>
  route({
    ...own,
    method: 'POST',
    path: '/v1/account/factor/remove',
    audit: 'factor.removed',
    summary: 'Removes one’s second factor, by a code of it',
    body: z.strictObject({ otp }),
    answers: { 204: noContent },
    problems: ['account_required', 'factor_not_found', 'factor_refused', 'login_locked'],
    async handle({ principal, body }, audit) {
      const remove = () =>
        deps.db.transaction().execute(async (tx) => {
          const account = await lockedAccount(tx, principal, deps.issuerUrl);
          if ((await factorState(tx, account.id)) === 'none') throw problem('factor_not_found');
          const code = await fittingCode({ ...deps, db: tx }, account, body.otp);
          if (!code || !(await spendCode(tx, account.id, code))) throw problem('factor_refused');
          await removeFactor(tx, account.id);
          const resource = { type: 'account', id: account.id };
          return audit.within(tx, { resource, details: TOTP }, { status: 204 });
        });
      return proving(deps, principal, audit, remove);
    },
  });
