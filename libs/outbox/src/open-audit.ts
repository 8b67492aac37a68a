import type { Transaction } from 'kysely';
import { BATCH_MAX_BYTES, isMutation, packEntries, type AuditEvent } from '@postern/audit';
import { queryIn, type Postgres } from '@postern/postgres';
import { problem, systemNow, type Logger, type Now, type Registry } from '@postern/runtime';
import { assertDurable, readDurability } from './durability.ts';
import { openGroupCommit, type GroupCommit } from './group-commit.ts';
import type { Counts, Guards, GuardUse } from './guards.ts';
import {
  changeStatements,
  pendingChange,
  type Changes,
  type ChangeStatement,
  type PendingChange,
} from './joined-changes.ts';
import { isOneRowsFault } from './lane.ts';
import { auditMetrics } from './metrics.ts';
import { tellOfEventSoon } from './new-events.ts';
import { pendingEvent, type PendingEvent } from './pending.ts';
import { createRefusals } from './refusals.ts';
import { groupStatements } from './write-group.ts';

/** What `openAudit` needs of a database: any `Postgres`, whatever its schema. */
export type OutboxPostgres = Pick<Postgres<unknown>, 'pool' | 'query'>;

export type AuditOptions = {
  postgres: OutboxPostgres;
  /** The service's name, as in its certificate. */
  producer: string;
  guards?: Guards;
  counts?: Counts;
  logger: Logger;
  metrics?: Registry;
  now?: Now;
  limits?: { waiting?: number; waitingBytes?: number };
  /** `quorum`: where standbys follow, a quorum of them must confirm each commit (R22; moderate and high). Default `any`. */
  replication?: 'any' | 'quorum';
};

export type Audit = {
  /**
   * Writes the event durably, together with others under way. Release nothing before it resolves.
   *
   * @returns false when the guard no longer holds, so that what was read is stale and nothing was recorded (R32).
   * @throws Problem `audit_unavailable` (503): nothing may be released.
   */
  commit(event: AuditEvent, guard?: GuardUse): Promise<boolean>;
  /**
   * Writes the event in the mutation's own transaction: both or neither.
   *
   * @throws Problem `audit_unavailable` (503).
   */
  within<Schema>(tx: Transaction<Schema>, event: AuditEvent): Promise<void>;
  /**
   * Mutations of one kind that share a statement: those under way together are one transaction, with their events in it. Takes
   * one more connection of the pool.
   */
  changes<Change>(statement: ChangeStatement<Change>): Changes<Change>;
  /** Records a refusal of a known principal: by itself within its budget, beyond that counted (R24). */
  refused(event: AuditEvent): Promise<void>;
  /** Counts a refusal from before authentication; it never fails and never waits (R24). */
  refusedEarly(event: AuditEvent): void;
  /** @throws Error when Postgres does not answer, or would acknowledge what it has not made durable (R22). */
  check(): Promise<void>;
  close(): Promise<void>;
};

const PER_FLUSH = 512;
/** With one more event of the greatest length a group still fits a batch. */
const BYTES_PER_FLUSH = BATCH_MAX_BYTES / 2;
const WAITING = 10_000;
const WAITING_BYTES = 32 * 1024 * 1024;
/** Changes carry what they write: memory holds that already, and a statement is bounded. */
const BYTES_PER_CHANGES = 2 * 1024 * 1024;
const WAITING_CHANGES = 256 * 1024 * 1024;
const RETRY_AFTER_SECONDS = 1;

/** A flood of refusals leaves room for reads, and one of reads for what changes something (R24). */
const SHARES = { refusals: 0.5, reads: 0.8, mutations: 1 };

const shareOf = ({ action, outcome }: AuditEvent): number =>
  outcome === 'refused' ? SHARES.refusals : isMutation(action) ? SHARES.mutations : SHARES.reads;

/** Opens the audit of a service over its own database, which `outboxMigrations` prepared. Takes one connection of the pool. */
export async function openAudit(options: AuditOptions): Promise<Audit> {
  const { postgres, guards = {}, counts = {}, logger, now = systemNow, limits = {} } = options;
  if (postgres.pool.options.max < 2) throw new Error('the audit needs a connection of its own: a pool of at least 2');
  const unavailable = (cause?: unknown) =>
    problem('audit_unavailable', { retryAfterSeconds: RETRY_AFTER_SECONDS, cause });
  const open: Pick<GroupCommit<never>, 'depth' | 'close'>[] = [];
  const metrics = auditMetrics(options.metrics, () => open.reduce((sum, one) => sum + one.depth(), 0));
  // Children: by its labels a counter is looked up with a key that is made of them each time.
  const [recorded, stale] = (['written', 'stale'] as const).map((result) => metrics?.events.labels(result));
  const { pool } = postgres;
  const common = { pool, logger, metrics, full: unavailable, perFlush: PER_FLUSH, waiting: limits.waiting ?? WAITING };
  const group = openGroupCommit<PendingEvent>({
    ...common,
    statementOf: groupStatements(guards, counts),
    failed: unavailable,
    bytesPerFlush: BYTES_PER_FLUSH,
    waitingBytes: limits.waitingBytes ?? WAITING_BYTES,
  });
  open.push(group);

  const commit = async (event: AuditEvent, guard?: GuardUse): Promise<boolean> => {
    if (guard && !Object.hasOwn(guards, guard.name)) throw new TypeError(`there is no guard ${guard.name}`);
    const pending = pendingEvent(event, guard);
    const written = await group.write(pending, pending.bytes, shareOf(event));
    (written ? recorded : stale)?.inc();
    return written;
  };
  const refusals = createRefusals(commit, now);

  return {
    commit,
    async within(tx, event) {
      const pending = pendingEvent(event);
      const query = queryIn(tx);
      try {
        await query('insert into audit_groups (id, count, body) values ($1, 1, $2) on conflict (id) do nothing', [
          pending.id,
          packEntries([pending]),
        ]);
        if (pending.closes !== undefined) await query('delete from audit_intents where id = $1', [pending.closes]);
      } catch (error) {
        // Whatever Postgres says about it: the event cannot be recorded, so nothing may happen.
        throw unavailable(error);
      }
      metrics?.events.inc({ result: 'within' });
      tellOfEventSoon(pool);
    },
    changes<Change>(statement: ChangeStatement<Change>): Changes<Change> {
      const changing = openGroupCommit<PendingChange<Change>>({
        ...common,
        statementOf: changeStatements(statement),
        // What is wrong with one change is its caller's to judge; anything else, and nothing can be recorded.
        failed: (error) => (isOneRowsFault(error) ? error : unavailable(error)),
        bytesPerFlush: BYTES_PER_CHANGES,
        waitingBytes: WAITING_CHANGES,
      });
      open.push(changing);
      return async (change: Change, event: AuditEvent) => {
        const pending = pendingChange(event, change);
        const made = await changing.write(pending, pending.bytes + statement.bytesOf(change));
        metrics?.events.inc({ result: made ? 'within' : 'stale' });
        return made;
      };
    },
    async refused(event) {
      if (refusals.single(event)) await commit(event);
    },
    refusedEarly: refusals.early,
    async check() {
      assertDurable(await readDurability(postgres.query), options.replication ?? 'any');
    },
    async close() {
      await refusals.close();
      await Promise.all(open.map((one) => one.close()));
    },
  };
}
