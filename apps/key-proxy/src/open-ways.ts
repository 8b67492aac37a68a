import { createPostern } from '@postern/client';
import { openEgress } from '@postern/egress';
import { type Assertions } from '@postern/issuer';
import { type Config } from './config.ts';
import { type Setting, type State } from './open-state.ts';
import { createBudgets } from './providers/budget/within-budget.ts';
import { cryptoStoreProvider } from './providers/crypto-store.ts';
import { type CloudEndpoints } from './providers/load-provider.ts';
import { openProviderPool } from './providers/provider-pool.ts';

/** The ways to where secrets lie and are used: Postern's other services, the providers of tenants, the hosts that they name. */
export function openWays(
  { config, closing, metrics: registry, now }: Setting,
  { tls, postgres, keys: branchKeys }: State,
  { assertions, endpoints }: { assertions: Pick<Assertions, 'assert'>; endpoints: CloudEndpoints | undefined },
) {
  const timeoutMs = config.providerTimeoutSeconds * 1000;
  const urls = {
    tokenExchange: config.tokenExchangeUrl,
    cryptoStore: config.cryptoStoreUrl,
    auditSink: config.auditSinkUrl,
  };
  const postern = closing.after(createPostern({ tls: () => tls.current(), urls, timeoutMs, now }));
  const wayOut = ({ hosts, publicAddresses, authorities }: Config['providerEgress']) =>
    closing.after(openEgress({ allow: hosts, publicAddresses, listedAuthorities: () => authorities, timeoutMs }));
  const providers = closing.after(
    openProviderPool({
      db: postgres.db,
      branchKeys,
      embedded: cryptoStoreProvider(postern.records),
      budgets: createBudgets({ registry, now }),
      egress: wayOut(config.providerEgress),
      // R36: for one tenant of this deployment, and no token of Postern's.
      assertionFor: (tenant, aud) => assertions.assert({ sub: `${config.issuer}:${tenant}`, aud }),
      timeoutMs,
      endpoints,
      now,
    }),
  );
  return { postern, providers, useEgress: wayOut(config.use) };
}
