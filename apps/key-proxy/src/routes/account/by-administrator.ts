import { type Kysely } from 'kysely';
import { z } from 'zod';
import { type Principal } from '@postern/oidc';
import { problem } from '@postern/runtime';
import { accountIdOf } from '../../accounts/account.ts';
import { type Schema } from '../../db/schema.ts';

/** What only a company's administrator does. */
export const byAdministrator = {
  listener: ['api', 'public'],
  scope: 'accounts:manage',
  role: 'admin',
  tier: 'sensitive',
} as const;

export const roleName = z.enum(['admin', 'user']);

/**
 * The company of an administrator, as it stands in the database now: a token may be older than a change of role.
 * @throws Problem `account_required`
 */
export async function assertCompany(
  db: Kysely<Schema>,
  principal: Pick<Principal, 'person' | 'tenant'>,
  issuerUrl: string,
): Promise<string> {
  const account = await db
    .selectFrom('accounts')
    .select('tenant')
    .where('id', '=', accountIdOf(principal, issuerUrl))
    .where((at) => at.and({ tenant: principal.tenant, state: 'active', role: 'admin' }))
    .executeTakeFirst();
  if (!account) throw problem('account_required');
  return account.tenant;
}
