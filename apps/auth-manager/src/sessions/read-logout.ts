import { checkLogoutToken, type VerifiedLogout } from '@postern/oidc';
import { decodeJwt } from 'jose';
import { type Now, problem } from '@postern/runtime';
import type { Providers } from '../provider/open-providers.ts';
import type { Logout } from './end-sessions.ts';

export type ReadLogout = {
  providers: Pick<Providers, 'at' | 'keysOf'>;
  /** Clients of the operator's provider whose logout tokens are taken (R15). */
  audiences: readonly string[];
  algorithms: readonly string[];
  now: Now;
};

function issuerOf(token: string): string {
  try {
    return decodeJwt(token).iss ?? '';
  } catch {
    return '';
  }
}

/**
 * Reads a logout token of any provider that is known here. What it says of its issuer only picks whose keys it must be
 * signed with. The token of a tenant's provider reaches the tenants that registered the very client it is for.
 * @throws Problem `logout_refused`, also for an issuer that nobody registered; `provider_unavailable`.
 */
export async function readLogout(
  { providers, audiences, algorithms, now }: ReadLogout,
  token: string,
): Promise<VerifiedLogout & Logout> {
  const issuer = issuerOf(token);
  const registered = issuer === '' ? [] : await providers.at(issuer);
  const [first] = registered;
  if (!first) throw problem('logout_refused');
  const own = registered.some(({ tenant }) => tenant === null);
  const clients = registered.filter(({ tenant }) => tenant !== null).map(({ clientId }) => clientId);
  // The keys are the issuer's, whoever registered it; one tenant that has disabled it silences it for no other.
  const keys = providers.keysOf({ tenant: first.tenant ?? '', provider: issuer });
  const taken = [...(own ? audiences : []), ...clients];
  const verified = await checkLogoutToken({ issuer, audiences: taken, algorithms, keys, now }, token);
  const all = own && verified.audiences.some((audience) => audiences.includes(audience));
  const tenants = registered.flatMap(({ tenant, clientId }) =>
    tenant !== null && verified.audiences.includes(clientId) ? [tenant] : [],
  );
  return { ...verified, tenants: all ? null : tenants };
}
