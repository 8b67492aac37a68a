import { openEgress } from '@postern/egress';
import type { Setting, State } from '../open-state.ts';
import { keepRegistered } from './keep-registered.ts';
import { openProviders } from './open-providers.ts';
import { providerAuthorities } from './provider-authorities.ts';

/** The providers, and the guarded ways to them (R35): one to the operator's alone, one to those that tenants name. */
export function openKnownProviders(
  { config, closing, profile, logger, now }: Setting,
  { tls, postgres, vault }: State,
) {
  const { issuer, hosts, caPath } = config.provider;
  const listedAuthorities = providerAuthorities(caPath, tls);
  const allow = [new URL(issuer).host];
  const egress = closing.after(openEgress({ allow, publicAddresses: false, listedAuthorities }));
  const tenantEgress = closing.after(openEgress({ allow: hosts, publicAddresses: true, listedAuthorities }));
  const ways = { egress, tenantEgress };
  const providers = openProviders({
    ...ways,
    config: config.provider,
    db: postgres.db,
    vault,
    logger,
    now,
    profile,
  });
  return { providers, providerOf: providers.of, keepRegistered: keepRegistered(issuer), tenantEgress };
}
