import { type Role } from '../db/schema.ts';
import { type AccountPolicy } from './account-policy.ts';

/** One's own account: password, second factor, session. */
export const OWN_ACCOUNT = 'account:manage';

const OWN_SECRETS = ['secrets:read', 'secrets:write', 'secrets:use', 'secrets:delete', OWN_ACCOUNT];

/** What an account's token allows (the seed's role matrix): users have secrets, administrators also the company's settings. */
export const roleScopes: Record<Role, readonly string[]> = {
  user: OWN_SECRETS,
  admin: [...OWN_SECRETS, 'secrets:configure', 'secrets:audit', 'accounts:manage'],
};

/** What a session allows: where the policy asks for a second factor that was not shown, only to enrol one. */
export function sessionScopes(role: Role, { factor }: { factor: boolean }, policy: AccountPolicy): readonly string[] {
  const needed = policy.secondFactor === 'everyone' || (policy.secondFactor === 'administrators' && role === 'admin');
  return needed && !factor ? [OWN_ACCOUNT] : roleScopes[role];
}
