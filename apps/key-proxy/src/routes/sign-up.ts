import { type Kysely } from 'kysely';
import { z } from 'zod';
import { route } from '@postern/http';
import { type Now, problem, Secret } from '@postern/runtime';
import { creationOf } from '../accounts/account.ts';
import { type AccountPolicy } from '../accounts/account-policy.ts';
import { type BreachedPasswords } from '../accounts/breached-passwords.ts';
import { email } from '../accounts/email.ts';
import { assertPasswordAllowed } from '../accounts/password-rules.ts';
import { type Passwords } from '../accounts/password.ts';
import { signUp } from '../accounts/sign-up.ts';
import { type Schema } from '../db/schema.ts';
import { kms, line, LONGEST_PASSWORD, phoneNumber, refuseCredentials } from './fields.ts';

export type SignUpDeps = {
  db: Kysely<Schema>;
  passwords: Passwords;
  policy: AccountPolicy;
  breached: BreachedPasswords;
  /** The issuer of this service's own accounts. */
  issuerUrl: string;
  /** R2: closed in production unless the operator opens it. */
  signUpOpen: boolean;
  now: Now;
};

/**
 * Seed route: a new company with its first account, its administrator. Where the address has an account already the answer
 * and the work are the same, and nothing is made (ADR 48): the log has the refusal, of whose account it was.
 */
export const signUpRoute = (deps: SignUpDeps) =>
  route({
    method: 'POST',
    path: '/signup',
    listener: ['api', 'public'],
    access: 'anyone',
    tier: 'auth',
    audit: 'account.created',
    summary: 'Creates a company with its first account, who administers it',
    body: z.strictObject({
      company_name: line(200).describe('one line'),
      contact_name: line(200).describe('of the person, one line'),
      phone_number: phoneNumber,
      email,
      password: z
        .string()
        .min(deps.policy.passwordMinLength)
        .max(LONGEST_PASSWORD)
        .describe('none that is easily guessed'),
      ...kms,
    }),
    answers: {
      201: z.strictObject({
        status: z.literal('created'),
        company_id: z.string().describe('id of the tenant'),
        account_id: z.uuid(),
        role: z.string().describe('`admin`'),
      }),
    },
    problems: ['accounts_off', 'sign_up_closed', 'provider_unavailable'],
    async handle({ body }, audit) {
      if (!deps.policy.accounts) throw problem('accounts_off');
      if (!deps.signUpOpen) throw problem('sign_up_closed');
      refuseCredentials(body.kms_selection, body.kms_credentials);
      const provider = body.kms_selection;
      // Credentials are checked at their provider: for an administrator, not for anyone.
      if (provider !== 'crypto-store')
        throw problem('provider_unavailable', { detail: 'sign up with crypto-store, then configure this provider' });
      const password = new Secret(body.password);
      await assertPasswordAllowed(deps.breached, { password, email: body.email, field: 'body.password' });
      const passwordHash = await deps.passwords.hash(password);
      const asked = {
        company: body.company_name,
        contactName: body.contact_name,
        phoneNumber: body.phone_number,
        email: body.email,
        passwordHash,
        provider,
      };
      return deps.db.transaction().execute(async (tx) => {
        const made = await signUp(tx, asked, deps.now());
        const { account } = made;
        return audit.within(
          tx,
          { ...creationOf(made, { issuer: deps.issuerUrl }), details: { method: 'password' } },
          {
            status: 201,
            body: { status: 'created', company_id: account.tenant, account_id: account.id, role: account.role },
          },
        );
      });
    },
  });
