import { type Kysely } from 'kysely';
import { type Outcome } from '@postern/audit';
import { type Schema } from '../db/schema.ts';
import { type LoggedEvent } from './tenant-log.ts';

/** An event as the seed shows it. */
export type LogLine = {
  id: string;
  /** The account's address; a person's id at their issuer where they have no account here; else the workload. */
  customer: string | null;
  action: string;
  secretName: string | null;
  status: Outcome;
  at: string;
};

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Events with the names that only this service knows: an account's address is in no event, and a secret's name in few. What
 * has been deleted since has only its id.
 */
export async function logLines(
  { db, issuerUrl }: { db: Kysely<Schema>; issuerUrl: string },
  { tenant, events }: { tenant: string; events: readonly LoggedEvent[] },
): Promise<LogLine[]> {
  const emails = await emailsOf(db, tenant, events.map(accountOf(issuerUrl)));
  const names = await secretNamesOf(db, tenant, events.map(secretOf));
  return events.map((event) => {
    const { id, action, outcome, time, actor, details } = event;
    const account = accountOf(issuerUrl)(event);
    const email = account === null ? undefined : emails.get(account);
    const named = action.startsWith('secret.') && typeof details['name'] === 'string' ? details['name'] : null;
    const secret = secretOf(event);
    return {
      id,
      customer: email ?? actor.person?.sub ?? account ?? actor.workload ?? null,
      action,
      secretName: named ?? (secret === null ? null : (names.get(secret) ?? null)),
      status: outcome,
      at: time,
    };
  });
}

/** Who acted; of a failed login, where nobody has proven to be anyone, whose account was tried. */
const accountOf =
  (issuerUrl: string) =>
  ({ actor: { person }, resource }: LoggedEvent): string | null => {
    if (person) return person.issuer === issuerUrl && UUID.test(person.sub) ? person.sub : null;
    return resource?.type === 'account' && UUID.test(resource.id) ? resource.id : null;
  };

const secretOf = ({ resource }: LoggedEvent): string | null =>
  resource?.type === 'secret' && UUID.test(resource.id) ? resource.id : null;

const known = (ids: readonly (string | null)[]): string[] => [...new Set(ids.filter((id) => id !== null))];

async function emailsOf(db: Kysely<Schema>, tenant: string, ids: readonly (string | null)[]) {
  const wanted = known(ids);
  if (wanted.length === 0) return new Map<string, string>();
  const rows = await db
    .selectFrom('accounts')
    .select(['id', 'email'])
    .where('tenant', '=', tenant)
    .where('id', 'in', wanted)
    .execute();
  return new Map(rows.map(({ id, email }) => [id, email]));
}

async function secretNamesOf(db: Kysely<Schema>, tenant: string, ids: readonly (string | null)[]) {
  const wanted = known(ids);
  if (wanted.length === 0) return new Map<string, string>();
  const rows = await db
    .selectFrom('secrets')
    .select(['id', 'name'])
    .where('tenant', '=', tenant)
    .where('id', 'in', wanted)
    .execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}
