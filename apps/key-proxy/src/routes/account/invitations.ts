import { type Kysely } from 'kysely';
import { z } from 'zod';
import { noContent, route } from '@postern/http';
import { type Now, problem, Secret } from '@postern/runtime';
import { createAccount, creationOf } from '../../accounts/account.ts';
import { type AccountPolicy } from '../../accounts/account-policy.ts';
import { type BreachedPasswords } from '../../accounts/breached-passwords.ts';
import { email } from '../../accounts/email.ts';
import {
  cancelInvitation,
  type Invitation,
  invite,
  listInvitations,
  openInvitation,
  useInvitation,
} from '../../accounts/invitations.ts';
import { type Passwords } from '../../accounts/password.ts';
import { assertPasswordAllowed } from '../../accounts/password-rules.ts';
import { type Schema } from '../../db/schema.ts';
import { line, LONGEST_PASSWORD, phoneNumber } from '../fields.ts';
import { assertCompany, byAdministrator, roleName } from './by-administrator.ts';

export type InvitationDeps = {
  db: Kysely<Schema>;
  passwords: Passwords;
  breached: BreachedPasswords;
  policy: AccountPolicy;
  issuerUrl: string;
  now: Now;
};

const entry = {
  id: z.uuid(),
  email: z.string().describe('who is invited'),
  role: roleName,
  expires_at: z.iso.datetime(),
};
const entryOf = ({ id, email: to, role, expiresAt }: Invitation) => ({
  id,
  email: to,
  role,
  expires_at: expiresAt.toISOString(),
});

/** Invites an address: whoever has the token makes the account. Good once, for three days. */
export const inviteRoute = (deps: InvitationDeps) =>
  route({
    ...byAdministrator,
    method: 'POST',
    path: '/v1/invitations',
    audit: 'account.invited',
    summary: 'Invites an address into the company; the token is in this answer only',
    body: z.strictObject({ email, role: roleName.default('user') }),
    answers: {
      201: z.strictObject({
        ...entry,
        token: z.string().describe('what the invited person needs; hand it over yourself'),
      }),
    },
    problems: ['account_required'],
    async handle({ principal, body }, audit) {
      return deps.db.transaction().execute(async (tx) => {
        const tenant = await assertCompany(tx, principal, deps.issuerUrl);
        const { token, ...made } = await invite(tx, { tenant, ...body, now: deps.now() });
        const what = { resource: { type: 'invitation', id: made.id }, details: { roles: [made.role] } };
        return audit.within(tx, what, { status: 201, body: { ...entryOf(made), token } });
      });
    },
  });

export const listInvitationsRoute = (deps: InvitationDeps) =>
  route({
    ...byAdministrator,
    method: 'GET',
    path: '/v1/invitations',
    audit: 'invitation.listed',
    summary: 'The company’s open invitations',
    answers: { 200: z.strictObject({ invitations: z.array(z.strictObject(entry)) }) },
    problems: ['account_required'],
    async handle({ principal }, audit) {
      const tenant = await assertCompany(deps.db, principal, deps.issuerUrl);
      const invitations = (await listInvitations(deps.db, tenant, deps.now())).map(entryOf);
      return audit.released({ details: { count: invitations.length } }, { status: 200, body: { invitations } });
    },
  });

export const cancelInvitationRoute = (deps: InvitationDeps) =>
  route({
    ...byAdministrator,
    method: 'DELETE',
    path: '/v1/invitations/:id',
    audit: 'invitation.cancelled',
    summary: 'Takes an open invitation back',
    params: z.strictObject({ id: z.uuid() }),
    answers: { 204: noContent },
    problems: ['account_required', 'invitation_not_found'],
    async handle({ principal, params: { id } }, audit) {
      return deps.db.transaction().execute(async (tx) => {
        const tenant = await assertCompany(tx, principal, deps.issuerUrl);
        await cancelInvitation(tx, tenant, id);
        return audit.within(tx, { resource: { type: 'invitation', id }, details: {} }, { status: 204 });
      });
    },
  });

/**
 * Makes the account that an invitation is for: its address, company and role are the invitation's, never the caller's. Where the
 * address has an account already the answer and the work are the same, and nothing is made (ADR 48).
 */
export const acceptInvitationRoute = (deps: InvitationDeps) =>
  route({
    method: 'POST',
    path: '/v1/accept-invitation',
    listener: ['api', 'public'],
    access: 'anyone',
    tier: 'auth',
    audit: 'account.created',
    summary: 'Makes the account that an invitation is for',
    body: z.strictObject({
      token: z.string().min(1).max(128).describe('of the invitation'),
      contact_name: line(200).describe('of the person, one line'),
      phone_number: phoneNumber,
      password: z
        .string()
        .min(deps.policy.passwordMinLength)
        .max(LONGEST_PASSWORD)
        .describe('none that is easily guessed'),
    }),
    answers: {
      201: z.strictObject({
        status: z.literal('created'),
        company_id: z.string().describe('id of the tenant'),
        account_id: z.uuid(),
        email: z.string().describe('its address'),
        role: roleName,
      }),
    },
    problems: ['accounts_off', 'invitation_refused'],
    async handle({ body }, audit) {
      if (!deps.policy.accounts) throw problem('accounts_off');
      const password = new Secret(body.password);
      const { email: invited } = await openInvitation(deps.db, body.token, deps.now());
      await assertPasswordAllowed(deps.breached, { password, email: invited, field: 'body.password' });
      const passwordHash = await deps.passwords.hash(password);
      return deps.db.transaction().execute(async (tx) => {
        const at = deps.now();
        const { id: _used, ...of } = await useInvitation(tx, body.token, at);
        const given = { contactName: body.contact_name, phoneNumber: body.phone_number };
        const made = await createAccount(tx, { ...of, ...given, passwordHash }, at);
        const { account } = made;
        return audit.within(
          tx,
          { ...creationOf(made, { issuer: deps.issuerUrl }), details: { method: 'invitation' } },
          {
            status: 201,
            body: {
              status: 'created',
              company_id: account.tenant,
              account_id: account.id,
              email: account.email,
              role: account.role,
            },
          },
        );
      });
    },
  });
