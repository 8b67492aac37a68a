import { randomUUID } from 'node:crypto';
import { sealerFor, type BranchKeys } from '@postern/branch-keys';
import { EgressRefused, parseRules, type EgressRules } from '@postern/egress';
import type { Query } from '@postern/postgres';
import { problem, Secret } from '@postern/runtime';
import type { NotificationType } from './notification-types.ts';
import { makeKey, type SignatureKind, type WebhookKey } from './signature.ts';

export type Subscription = {
  id: string;
  url: string;
  types: NotificationType[];
  signature: SignatureKind;
  /** With Ed25519: what the receiver verifies with. */
  publicKey: string | null;
  /** Why nothing is sent any more; null while it is. */
  stopped: string | null;
  createdAt: Date;
};

export type Subscriptions = { query: Query; keys: BranchKeys; egressRules: EgressRules };

/** Of one tenant. Each costs a look at the log and a share of what is sent at once. */
const MOST = 32;
/** How long deliveries are signed with the old secret too. */
const OVERLAP_HOURS = 24;

const COLUMNS = `id, url, types, signature, public_key as "publicKey", stopped, created_at as "createdAt"`;

const contextOf = (id: string) => ({ what: 'webhook-secret', id });
const sealerOf = (keys: BranchKeys, tenant: string) => sealerFor(keys, { tenant, purpose: 'service-secrets' });

/** A new secret of a webhook: as its receiver is told it, and sealed for the webhook of that id. */
export type NewKey = { id: string; secret: Secret; publicKey: string | null; sealed: Buffer };

/**
 * Makes a secret and seals it, before the transaction that keeps it: for that the tenant's key may have to be read over another
 * connection, and as many transactions as there are connections would wait for one.
 */
export async function newKey(
  keys: BranchKeys,
  { tenant, id = randomUUID(), signature }: { tenant: string; id?: string; signature: SignatureKind },
): Promise<NewKey> {
  const { secret, publicKey } = makeKey(signature);
  const sealed = await sealerOf(keys, tenant).seal(Buffer.from(secret.reveal()), contextOf(id));
  return { id, secret, publicKey, sealed };
}

/**
 * Creates a subscription, in the transaction of `query`. Its secret is returned here and never again.
 *
 * @param idempotency where the caller may come again: then the subscription of the first time, and no secret.
 * @throws Problem `webhook_url_refused`, `too_many_webhooks`, `idempotency_key_reused`.
 */
export async function createSubscription(
  { query, egressRules }: Pick<Subscriptions, 'query' | 'egressRules'>,
  asked: {
    key: NewKey;
    tenant: string;
    url: string;
    types: readonly NotificationType[];
    signature: SignatureKind;
    now: Date;
    idempotency: { key: string; request: string } | null;
  },
): Promise<{ subscription: Subscription; secret: Secret | null }> {
  const { tenant, url, types, signature, now, idempotency } = asked;
  const { id, secret, publicKey, sealed } = asked.key;
  assertReachable(egressRules, url);
  // One at a time of a tenant, so that none slips past the count, nor past a first try that is under way.
  await query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`webhooks of ${tenant}`]);
  if (idempotency) {
    const [before] = await query<Subscription & { request: string }>(
      `select ${COLUMNS}, idempotency_request as request from webhook_subscriptions where idempotency_key = $1`,
      [idempotency.key],
    );
    if (before && before.request !== idempotency.request) throw problem('idempotency_key_reused');
    if (before) return { subscription: before, secret: null };
  }
  const [held] = await query<{ count: string }>('select count(*) from webhook_subscriptions where tenant = $1', [
    tenant,
  ]);
  if (Number(held?.count) >= MOST) throw problem('too_many_webhooks');
  const [subscription] = await query<Subscription>(
    `insert into webhook_subscriptions
       (id, tenant, url, types, signature, sealed_secret, public_key, next_index, idempotency_key, idempotency_request, created_at)
     select $1, $2, $3, $4, $5, $6, $7, h.size, $8, $9, $10 from log_head h returning ${COLUMNS}`,
    [id, tenant, url, types, signature, sealed, publicKey, idempotency?.key ?? null, idempotency?.request ?? null, now],
  );
  if (!subscription) throw new Error('the log has no head');
  return { subscription, secret: publicKey === null ? secret : null };
}

export const listSubscriptions = (query: Query, tenant: string): Promise<Subscription[]> =>
  query<Subscription>(`select ${COLUMNS} from webhook_subscriptions where tenant = $1 order by id`, [tenant]);

/** @throws Problem `webhook_not_found`, also for another tenant's. */
export async function deleteSubscription(query: Query, at: { tenant: string; id: string }): Promise<void> {
  const rows = await query('delete from webhook_subscriptions where tenant = $1 and id = $2 returning 1', [
    at.tenant,
    at.id,
  ]);
  if (rows.length === 0) throw problem('webhook_not_found');
}

/** How a webhook's deliveries are signed. @throws Problem `webhook_not_found`. */
export async function signatureOf(query: Query, at: { tenant: string; id: string }): Promise<SignatureKind> {
  const [row] = await query<{ signature: SignatureKind }>(
    'select signature from webhook_subscriptions where tenant = $1 and id = $2',
    [at.tenant, at.id],
  );
  if (!row) throw problem('webhook_not_found');
  return row.signature;
}

/**
 * A new secret; deliveries carry the signatures of both until the old one's time is over.
 * @throws Problem `webhook_not_found`.
 */
export async function rotateSecret(
  query: Query,
  { tenant, key, now }: { tenant: string; key: NewKey; now: Date },
): Promise<{ subscription: Subscription; secret: Secret | null; previousUntil: Date }> {
  const { id, secret, publicKey, sealed } = key;
  const previousUntil = new Date(now.getTime() + OVERLAP_HOURS * 3_600_000);
  const [subscription] = await query<Subscription>(
    `update webhook_subscriptions
     set sealed_previous = sealed_secret, previous_until = $4, sealed_secret = $3, public_key = $5
     where tenant = $1 and id = $2 returning ${COLUMNS}`,
    [tenant, id, sealed, previousUntil, publicKey],
  );
  if (!subscription) throw problem('webhook_not_found');
  return { subscription, secret: publicKey === null ? secret : null, previousUntil };
}

/** Sends again from where it stopped. @throws Problem `webhook_not_found`. */
export async function resumeSubscription(query: Query, at: { tenant: string; id: string }): Promise<Subscription> {
  const [row] = await query<Subscription>(
    `update webhook_subscriptions set stopped = null, failing_since = null where tenant = $1 and id = $2 returning ${COLUMNS}`,
    [at.tenant, at.id],
  );
  if (!row) throw problem('webhook_not_found');
  return row;
}

/** The keys that sign a subscription's deliveries now, the newest first. */
export async function keysOf(
  keys: BranchKeys,
  row: { id: string; tenant: string; signature: SignatureKind; sealed: Buffer; previous: Buffer | null },
): Promise<WebhookKey[]> {
  const sealer = sealerOf(keys, row.tenant);
  const sealed = row.previous === null ? [row.sealed] : [row.sealed, row.previous];
  return Promise.all(
    sealed.map(async (one) => {
      const secret = new Secret((await sealer.open(one, contextOf(row.id))).toString('utf8'));
      return { kind: row.signature, secret };
    }),
  );
}

/** Where the operator lets webhooks go is checked again at each attempt, with the addresses (R35). */
function assertReachable(rules: EgressRules, url: string): void {
  try {
    parseRules(rules).destination(url);
  } catch (error) {
    if (!(error instanceof EgressRefused)) throw error;
    throw problem('webhook_url_refused', { fields: [{ field: 'body.url', rule: error.reason }], cause: error });
  }
}
