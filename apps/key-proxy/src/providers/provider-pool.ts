import { type Kysely } from 'kysely';
import { type BranchKeys, sealerFor } from '@postern/branch-keys';
import { type Now, problem, Secret } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { withinBudget, type Budgets } from './budget/within-budget.ts';
import { type Configuration } from './configuration.ts';
import { loadProvider, type LoadProvider } from './load-provider.ts';
import { type Providers, unavailable } from './open-providers.ts';
import { providerKinds } from './provider-kind.ts';
import { type SecretProvider } from './secret-provider.ts';

export type ProviderPool = Providers & {
  /** A provider by a configuration that is not kept yet: to check it. The caller closes it. */
  open(tenant: string, configuration: Configuration): Promise<SecretProvider>;
  close(): Promise<void>;
};

export type OpenPool = LoadProvider & {
  db: Kysely<Schema>;
  branchKeys: BranchKeys;
  /** Postern's own store, the same for all tenants. */
  embedded: SecretProvider;
  budgets: Budgets;
  now: Now;
};

type Opened = { generation: string; provider: Promise<SecretProvider> };

/** Enough for the configurations in use at once; the least recently used is closed. */
const MOST_OPEN = 200;
/** A replaced configuration is looked for so often: calls under the earlier one go on until then. */
const RECHECK_MS = 5_000;

/**
 * Providers by their configuration, opened at first use. A configuration that was replaced is used from the next look at its
 * row on, within {@link RECHECK_MS}, while calls under way end on the earlier client: no downtime.
 */
export function openProviderPool(deps: OpenPool): ProviderPool {
  const { db, branchKeys, embedded, budgets, timeoutMs, now } = deps;
  const opened = new Map<string, Opened & { checkedAt: number }>();
  const store = withinBudget(embedded, budgets.of('crypto-store', 'embedded'));

  async function configured(tenant: string, id: string): Promise<SecretProvider> {
    const held = opened.get(id);
    if (held && now().getTime() - held.checkedAt < RECHECK_MS) {
      opened.delete(id);
      opened.set(id, held);
      return held.provider;
    }
    const row = await db
      .selectFrom('provider_configurations')
      .selectAll()
      .where((at) => at.and({ id, tenant }))
      .executeTakeFirst();
    if (!row) throw problem('provider_unavailable', { detail: 'the configuration was removed' });
    if (held && held.generation === row.generation) {
      held.checkedAt = now().getTime();
      return held.provider;
    }
    const secrets = row.sealed ? await unseal(branchKeys, tenant, id, row.sealed) : {};
    // Of those who come at once the first opens it for all.
    const earlier = opened.get(id);
    if (earlier && earlier.generation === row.generation) return earlier.provider;
    const provider = loadProvider(deps, tenant, { kind: row.kind, settings: row.settings, secrets }).then((loaded) =>
      withinBudget(loaded, budgets.of(row.kind, id)),
    );
    const made = { generation: row.generation, provider, checkedAt: now().getTime() };
    provider.catch(() => opened.get(id) === made && opened.delete(id));
    opened.set(id, made);
    if (earlier) void closeLater(earlier);
    const [eldest] = opened;
    if (opened.size > MOST_OPEN && eldest) {
      opened.delete(eldest[0]);
      void closeLater(eldest[1]);
    }
    return provider;
  }

  /** After the longest call that may be under way. */
  async function closeLater({ provider }: Opened): Promise<void> {
    setTimeout(() => void provider.then((one) => one.close()).catch(() => {}), timeoutMs).unref();
  }

  return {
    kinds: providerKinds,
    async at({ tenant, kind, configuration }) {
      if (configuration !== null) return configured(tenant, configuration);
      if (kind !== 'crypto-store') throw unavailable(kind, ['crypto-store']);
      return store;
    },
    open: (tenant, configuration) => loadProvider(deps, tenant, configuration),
    call: (by) => ({ by, signal: AbortSignal.timeout(timeoutMs) }),
    async close() {
      await Promise.all(
        [...opened.values()].map(({ provider }) => provider.then((one) => one.close()).catch(() => {})),
      );
    },
  };
}

const PURPOSE = 'provider-credentials';

/** Credentials under the tenant's own key for them; the context names the row. */
export async function sealCredentials(
  branchKeys: BranchKeys,
  { tenant, id }: { tenant: string; id: string },
  secrets: Configuration['secrets'],
): Promise<Buffer> {
  const plain = Object.fromEntries(Object.entries(secrets).map(([name, secret]) => [name, secret.reveal()]));
  const bytes = Buffer.from(JSON.stringify(plain));
  try {
    return await sealerFor(branchKeys, { tenant, purpose: PURPOSE }).seal(bytes, { configuration: id });
  } finally {
    bytes.fill(0);
  }
}

async function unseal(
  branchKeys: BranchKeys,
  tenant: string,
  id: string,
  sealed: Buffer,
): Promise<Configuration['secrets']> {
  const bytes = await sealerFor(branchKeys, { tenant, purpose: PURPOSE }).open(sealed, { configuration: id });
  try {
    const plain = JSON.parse(bytes.toString()) as Record<string, string>;
    return Object.fromEntries(Object.entries(plain).map(([name, value]) => [name, new Secret(value)]));
  } finally {
    bytes.fill(0);
  }
}
