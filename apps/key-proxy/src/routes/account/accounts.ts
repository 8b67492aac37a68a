import { type Kysely } from 'kysely';
import { z } from 'zod';
import { noContent, route } from '@postern/http';
import { type RevocationSequence } from '@postern/issuer';
import { type Now, problem } from '@postern/runtime';
import { createAccount, creationOf } from '../../accounts/account.ts';
import { type AccountPolicy } from '../../accounts/account-policy.ts';
import { email } from '../../accounts/email.ts';
import { removeFactor } from '../../accounts/factor.ts';
import { changeAccount, deleteAccount, listAccounts } from '../../accounts/manage-accounts.ts';
import { bcryptCostOf } from '../../accounts/password.ts';
import { type Schema } from '../../db/schema.ts';
import { line, phoneNumber } from '../fields.ts';
import { assertCompany, byAdministrator, roleName } from './by-administrator.ts';

export type AccountsDeps = {
  db: Kysely<Schema>;
  policy: AccountPolicy;
  sequence: Pick<RevocationSequence, 'revoke'>;
  issuerUrl: string;
  now: Now;
};

const MOST_ACCOUNTS = 100;
const named = z.strictObject({ id: z.uuid() });
const state = z.enum(['active', 'disabled']);

/** The accounts of the administrator's company. */
export const listAccountsRoute = (deps: AccountsDeps) =>
  route({
    ...byAdministrator,
    method: 'GET',
    path: '/v1/accounts',
    audit: 'account.listed',
    summary: 'The company’s accounts',
    query: z.strictObject({
      after: z.string().max(254).optional().describe('`next` of the page before'),
      limit: z.coerce.number().int().min(1).max(MOST_ACCOUNTS).default(MOST_ACCOUNTS).describe('accounts a page'),
    }),
    answers: {
      200: z.strictObject({
        accounts: z.array(
          z.strictObject({
            id: z.uuid(),
            email: z.string().describe('its address'),
            contact_name: z.string().nullable().describe('of the person'),
            role: roleName,
            state,
            factor: z.boolean().describe('whether a second factor is confirmed'),
            created_at: z.iso.datetime(),
          }),
        ),
        next: z.string().nullable().describe('`after` of the next page; null at the end'),
      }),
    },
    problems: ['account_required'],
    async handle({ principal, query }, audit) {
      const tenant = await assertCompany(deps.db, principal, deps.issuerUrl);
      const held = await listAccounts(deps.db, { tenant, ...query });
      const accounts = held.map(({ contactName, createdAt, ...entry }) => ({
        ...entry,
        contact_name: contactName,
        created_at: createdAt.toISOString(),
      }));
      const next = held.length === query.limit ? (held.at(-1)?.email ?? null) : null;
      return audit.released({ details: { count: held.length } }, { status: 200, body: { accounts, next } });
    },
  });

/** Another role or state for an account; its sessions and tokens end. */
export const changeAccountRoute = (deps: AccountsDeps) =>
  route({
    ...byAdministrator,
    method: 'PATCH',
    path: '/v1/accounts/:id',
    audit: 'account.changed',
    summary: 'Gives an account another role, disables or enables it; its sessions end',
    params: named,
    body: z
      .strictObject({ role: roleName.optional(), state: state.optional() })
      .refine((change) => Object.keys(change).length > 0, 'role or state'),
    answers: { 204: noContent },
    problems: ['account_required', 'account_not_found', 'last_administrator'],
    async handle({ principal, params: { id }, body }, audit) {
      return deps.db.transaction().execute(async (tx) => {
        const tenant = await assertCompany(tx, principal, deps.issuerUrl);
        await changeAccount(tx, deps, { tenant, id }, body);
        const what = { resource: { type: 'account', id }, details: { fields: Object.keys(body) } };
        return audit.within(tx, what, { status: 204 });
      });
    },
  });

/** Takes away an account. */
export const deleteAccountRoute = (deps: AccountsDeps) =>
  route({
    ...byAdministrator,
    method: 'DELETE',
    path: '/v1/accounts/:id',
    audit: 'account.deleted',
    summary: 'Deletes an account that has no secrets',
    params: named,
    answers: { 204: noContent },
    problems: ['account_required', 'account_not_found', 'account_has_secrets', 'last_administrator'],
    async handle({ principal, params: { id } }, audit) {
      return deps.db.transaction().execute(async (tx) => {
        const tenant = await assertCompany(tx, principal, deps.issuerUrl);
        await deleteAccount(tx, deps, { tenant, id });
        return audit.within(tx, { resource: { type: 'account', id }, details: {} }, { status: 204 });
      });
    },
  });

/** For who lost both device and recovery codes: the administrator takes the factor away, and knows whom they gave that to. */
export const resetFactorRoute = (deps: AccountsDeps) =>
  route({
    ...byAdministrator,
    method: 'DELETE',
    path: '/v1/accounts/:id/factor',
    audit: 'factor.removed',
    summary: 'Removes the second factor of an account; its sessions end',
    params: named,
    answers: { 204: noContent },
    problems: ['account_required', 'account_not_found'],
    async handle({ principal, params: { id } }, audit) {
      return deps.db.transaction().execute(async (tx) => {
        const tenant = await assertCompany(tx, principal, deps.issuerUrl);
        await changeAccount(tx, deps, { tenant, id }, { state: undefined });
        await removeFactor(tx, id);
        return audit.within(tx, { resource: { type: 'account', id }, details: { kind: 'totp' } }, { status: 204 });
      });
    },
  });

const MOST_IMPORTED = 100;

/**
 * Accounts with the bcrypt hashes that they had elsewhere; each is hashed anew at its first login. An address that has an account
 * already keeps that one, and the answer does not say so (ADR 48).
 */
export const importAccountsRoute = (deps: AccountsDeps) =>
  route({
    ...byAdministrator,
    method: 'POST',
    path: '/v1/import-accounts',
    audit: 'account.created',
    summary: 'Takes over accounts with their bcrypt hashes; an address that has an account keeps it',
    body: z.strictObject({
      accounts: z
        .array(
          z.strictObject({
            email,
            role: roleName.default('user'),
            contact_name: line(200).optional().describe('of the person, one line'),
            phone_number: phoneNumber.optional(),
            password_hash: z
              .string()
              .max(60)
              .refine((hash) => bcryptCostOf(hash) !== null, 'a bcrypt hash of cost 4 to 13')
              .describe('bcrypt, of cost 4 to 13; hashed anew at the first login'),
          }),
        )
        .min(1)
        .max(MOST_IMPORTED),
    }),
    answers: { 201: z.strictObject({ imported: z.int().describe('as many as were asked for') }) },
    problems: ['accounts_off', 'account_required'],
    async handle({ principal, body }, audit) {
      if (!deps.policy.accounts) throw problem('accounts_off');
      return deps.db.transaction().execute(async (tx) => {
        const tenant = await assertCompany(tx, principal, deps.issuerUrl);
        const details = { method: 'import' };
        for (const { email: address, role, contact_name, phone_number, password_hash } of body.accounts) {
          const given = { contactName: contact_name ?? null, phoneNumber: phone_number ?? null };
          const asked = { tenant, email: address, role, ...given, passwordHash: password_hash };
          const made = await createAccount(tx, asked, deps.now());
          await audit.itemWithin(tx, { ...creationOf(made, null), details });
        }
        const imported = body.accounts.length;
        return audit.within(tx, { details }, { status: 201, body: { imported } });
      });
    },
  });
