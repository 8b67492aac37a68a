import { createHash } from 'node:crypto';
import type { Kysely } from 'kysely';
import { problem } from '@postern/runtime';
import type { GrantState, Schema } from '../db/schema.ts';
import { type GrantRow, type HandleRow, lastUseOf, type Owner, ownedBy } from '../grants/grant.ts';

/** A session as its provider names it. */
export type SessionKey = { issuer: string; session: string };

/** A login at a provider that still has grants of the person. `key` is what the provider calls it. */
export type PersonSession = {
  id: string;
  key: SessionKey;
  grants: (Pick<GrantRow, 'id' | 'kind' | 'state' | 'scopes' | 'created_at'> & { lastUsedAt: Date | null })[];
  beganAt: Date;
  lastUsedAt: Date | null;
};

const LIVING: readonly GrantState[] = ['active', 'reauthorization_required'];
const MOST = 500;

/** A session's id for its person: the provider's own stays inside, since logout tokens and our own revocations name it. */
const idOf = ({ tenant }: Owner, issuer: string, session: string): string =>
  createHash('sha256').update(`session\n${tenant}\n${issuer}\n${session}`).digest('hex').slice(0, 32);

const newest = (dates: readonly (Date | null)[]): Date | null =>
  dates.reduce<Date | null>((best, date) => (date !== null && (best === null || date > best) ? date : best), null);

/** Every session of the person, however many there are. */
export const sessionsToEnd = ({ db }: { db: Kysely<Schema> }, owner: Owner): Promise<SessionKey[]> =>
  db
    .selectFrom('grants')
    .select(['provider as issuer', 'session'])
    .distinct()
    .where((row) => row.and(ownedBy(owner)))
    .where('state', 'in', LIVING)
    .execute();

/** The person's sessions with what was granted in each, the newest first; those of the newest 500 grants. */
export async function listSessions({ db }: { db: Kysely<Schema> }, owner: Owner): Promise<PersonSession[]> {
  const grants = await db
    .selectFrom('grants')
    .select(['id', 'kind', 'state', 'scopes', 'created_at', 'provider', 'session'])
    .where((row) => row.and(ownedBy(owner)))
    .where('state', 'in', LIVING)
    .orderBy('created_at', 'desc')
    .limit(MOST)
    .execute();
  if (grants.length === 0) return [];
  const ids = grants.map(({ id }) => id);
  const used: Pick<HandleRow, 'grant_id' | 'last_used_at'>[] = await db
    .selectFrom('handles')
    .select(['grant_id', (from) => lastUseOf(from).as('last_used_at')])
    .where('grant_id', 'in', ids)
    .execute();
  const lastUse = (grant: string) =>
    newest(used.filter(({ grant_id }) => grant_id === grant).map(({ last_used_at }) => last_used_at));

  const sessions = new Map<string, PersonSession>();
  for (const { provider, session, ...grant } of grants) {
    const id = idOf(owner, provider, session);
    const held = sessions.get(id) ?? {
      id,
      key: { issuer: provider, session },
      grants: [],
      beganAt: grant.created_at,
      lastUsedAt: null,
    };
    const lastUsedAt = lastUse(grant.id);
    held.grants.push({ ...grant, lastUsedAt });
    held.beganAt = grant.created_at < held.beganAt ? grant.created_at : held.beganAt;
    held.lastUsedAt = newest([held.lastUsedAt, lastUsedAt]);
    sessions.set(id, held);
  }
  return [...sessions.values()];
}

/** One of them. @throws Problem `session_not_found`, for another person's as for none. */
export async function findSession(deps: { db: Kysely<Schema> }, owner: Owner, id: string): Promise<PersonSession> {
  const session = (await listSessions(deps, owner)).find((one) => one.id === id);
  if (!session) throw problem('session_not_found');
  return session;
}
