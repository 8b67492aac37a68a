import { newEvent, type Action, type AuditEvent } from '@postern/audit';
import { type Audit, type Reconcilers } from '@postern/outbox';
import { Counter, Problem, type Logger, type Registry } from '@postern/runtime';
import { type Kysely, sql, type Transaction } from 'kysely';
import { type Schema, type WriteOperation } from '../../db/schema.ts';
import { ABANDONED_AFTER_MS, findWrite, type Write } from './open-write.ts';
import { settleWrite, type SettleWrites } from './settle-write.ts';
import { openToken } from '../../providers/sealed-token.ts';

/** How each write stands in the log. */
export const actionOf: Readonly<Record<WriteOperation, Action>> = {
  create: 'secret.created',
  put: 'secret.updated',
  disable: 'secret.disabled',
  enable: 'secret.enabled',
  disable_version: 'secret.disabled',
  enable_version: 'secret.enabled',
  delete: 'secret.deleted',
  recover: 'secret.restored',
  destroy: 'secret.destroyed',
  tag: 'secret.updated',
};

export type SettleRound = SettleWrites & {
  audit: Pick<Audit, 'within'>;
  service: string;
  logger: Logger;
  registry: Registry;
};

const PER_ROUND = 100;
/** Outcomes are looked up by the reconciler of intents for a day; then nobody asks any more. */
const KEPT_MS = 86_400_000;

/**
 * Settles writes that a process began and did not end (R23): a crash, or an answer that was lost. Providers that are reached
 * with a tenant's own credentials are asked what became of them. crypto-store is reached with a caller's token only (R5): it
 * is asked with the one that is noted with the write, while that lives; after that the write waits for the next one of its
 * owner.
 */
export function settleRound(deps: SettleRound) {
  const { db, audit, service, logger, now } = deps;
  const settled = new Counter({
    name: 'key_proxy_settled_writes_total',
    help: 'Writes at a provider that were left without an outcome, by what became of them',
    labelNames: ['outcome'],
    registers: [deps.registry],
  });

  /** In the transaction that settles it: the outcome of the intent, by this service itself. */
  const record = (kind: string) => async (tx: Transaction<Schema>, write: Write, outcome: 'done' | 'refused') => {
    await audit.within(
      tx,
      newEvent(
        {
          action: actionOf[write.operation],
          tenant: write.tenant,
          actor: { workload: service },
          resource: { type: 'secret', id: write.secretId },
          outcome: outcome === 'done' ? 'success' : 'failed',
          reason: outcome === 'done' ? 'settled' : 'never_written',
          details: { provider: kind },
          intent: write.id,
        },
        now(),
      ),
    );
  };

  return async (): Promise<void> => {
    const at = now().getTime();
    // The eldest of each place, then the next of each: one that does not answer keeps nobody else's from their turn.
    const turn = sql<string>`row_number() over (partition by s.tenant, s.provider, s.configuration order by w.started_at)`;
    const open = await db
      .selectFrom('provider_writes as w')
      .innerJoin('secrets as s', 's.id', 'w.secret_id')
      .select(['w.id', 's.provider', turn.as('turn')])
      .where('w.outcome', 'is', null)
      .where('w.started_at', '<', new Date(at - ABANDONED_AFTER_MS))
      .where((at) => at.or([at('s.provider', '!=', 'crypto-store'), at('w.sealed_token', 'is not', null)]))
      .orderBy('turn')
      .orderBy(sql`random()`)
      .limit(PER_ROUND)
      .execute();
    for (const { id, provider } of open) {
      const write = await findWrite(db, { id });
      if (!write || write.outcome !== null) continue;
      const settle = async () => {
        const { sealedToken, tenant } = write;
        const by = sealedToken && (await openToken(deps.branchKeys, { tenant, purpose: 'write-tokens' }, sealedToken));
        return settleWrite({ ...deps, settled: record(provider) }, write, by);
      };
      await settle().then(
        (outcome) => settled.inc({ outcome }),
        async (err: unknown) => {
          settled.inc({ outcome: 'still_open' });
          if (write.sealedToken && isTokenEnded(err)) await forgetToken(db, id);
          logger.warn({ err, provider }, 'it could not be found out what became of a write at a provider');
        },
      );
    }
    await db
      .deleteFrom('provider_writes')
      .where('settled_at', '<', new Date(at - KEPT_MS))
      .execute();
  };
}

const isTokenEnded = (error: unknown): boolean =>
  error instanceof Problem && (error.code === 'provider_credentials_refused' || error.code === 'provider_forbidden');

const forgetToken = (db: Kysely<Schema>, id: string) =>
  db.updateTable('provider_writes').set({ sealed_token: null }).where('id', '=', id).execute();

/** What became of an intent whose outcome was not recorded: its write says so, where it had begun. */
export function writeReconcilers(deps: Pick<SettleWrites, 'db'>): Reconcilers {
  const reconcile = async ({ id, details }: AuditEvent) => {
    const write = await findWrite(deps.db, { id });
    if (write?.outcome === null) return null;
    if (!write) return { outcome: 'failed' as const, reason: 'never_sent', details };
    return write.outcome === 'done'
      ? { outcome: 'success' as const, reason: 'settled', details }
      : { outcome: 'failed' as const, reason: 'never_written', details };
  };
  return Object.fromEntries([...new Set(Object.values(actionOf))].map((action) => [action, reconcile]));
}
