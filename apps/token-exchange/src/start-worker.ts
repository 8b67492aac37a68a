import { keyRounds, type BranchKeys, type RootKey } from '@postern/branch-keys';
import type { EndedTenants } from '@postern/branch-keys/destruction';
import { openBus } from '@postern/bus';
import type { RevocationSequence } from '@postern/issuer';
import { watchTlsMaterial, type TlsMaterial } from '@postern/mtls';
import { recordedTransactions, startRelay, type Audit } from '@postern/outbox';
import { forgetExpired, type Postgres } from '@postern/postgres';
import type { Profile } from '@postern/profile';
import { startRounds, type Closing, type Logger, type Now, type Registry } from '@postern/runtime';
import type { Web } from '@postern/web';
import { SERVICE } from './app.ts';
import { expireApprovals } from './approvals/expire-approvals.ts';
import type { Config } from './config.ts';
import type { Schema } from './db/schema.ts';
import type { PolicyStore } from './policy/policy-store.ts';
import { offboardEnded, removeExchanges } from './tenants/end-tenant.ts';
import { closeLogs, type CloseLogs } from './workloads/close-logs.ts';

/** What the worker half stands on, all of it opened already: closed in reverse, after what is opened here. */
export type StartWorker = {
  config: Config;
  closing: Pick<Closing, 'after'>;
  postgres: Postgres<Schema>;
  audit: Audit;
  tls: TlsMaterial;
  rootKey: RootKey;
  keys: BranchKeys;
  endedTenants: EndedTenants;
  policies: PolicyStore;
  sequence: RevocationSequence;
  /** The way to audit-sink, and the logs there of workloads that were compromised. */
  logs: CloseLogs;
  /** The pages of approvals, where there are any. */
  web: Web | null;
  profile: Profile;
  registry: Registry;
  logger: Logger;
  now: Now;
};

/** Everything that is done without a request: events to the log, rounds, tenants ended. */
export async function startWorker(deps: StartWorker): Promise<void> {
  const { config, closing, postgres, audit, tls, keys, policies, sequence, registry: metrics, logger, now } = deps;
  const { query, db } = postgres;
  const { bus: at, trust } = config;
  const busTls = closing.after(await watchTlsMaterial(at.tls));
  const password = at.password?.reveal();
  const bus = closing.after(await openBus({ url: at.url, password, tls: busTls, service: SERVICE, logger, metrics }));
  const { sink } = deps.logs;
  const relay = { postgres, producer: SERVICE, bus, tls, sink, logger, metrics, now, logKey: at.logKey };
  closing.after(await startRelay(relay));

  const transaction = recordedTransactions({ db, audit, producer: SERVICE, now });
  const { rootKey, profile, registry } = deps;
  const ofKeys = keyRounds({ query, transaction, rootKey, keys, profile, registry, logger, now });
  closing.after(startRounds([...roundsOf(deps), ...ofKeys], { logger, everySeconds: 60 }));

  const part = { db, audit, bus, tls, workloads: trust, service: SERVICE, metrics };
  closing.after(
    deps.endedTenants.follow({
      ...part,
      waitMs: config.branchKeys.cacheTtlMs,
      deny: (tx, tenant) => offboardEnded(tx, { policies, sequence, now }, tenant),
      remove: removeExchanges,
      keys: 'destroyed',
    }),
  );
}

const roundsOf = ({ postgres: { db, query }, logs, sequence, web, now }: StartWorker) => [
  { name: 'forget_revocations', run: sequence.forget },
  { name: 'close_logs', run: () => closeLogs(logs) },
  { name: 'expire_approvals', run: () => expireApprovals({ db, recordWithin: logs.recordWithin, now }) },
  { name: 'forget_used', run: async () => void (await forgetExpired(query, now())) },
  ...(web === null ? [] : [{ name: 'forget_web_sessions', run: web.forget }]),
];
