import {
  createRevocationSet,
  keyOf,
  REVOCATIONS_PER_PAGE,
  revocationTarget,
  type RevocableBy,
  type Revocation,
  type RevocationPage,
  type RevocationTarget,
} from '@postern/oidc';
import type { Profile } from '@postern/profile';
import type { Issuer } from '../open-issuer.ts';
import type { Query } from '../ports.ts';

export type OpenRevocations = {
  query: Query;
  issuer: Pick<Issuer, 'signHead'>;
  /** Decides how long an entry is kept. */
  profile: Pick<Profile, 'accessTokenMinutes' | 'sessionIdleMinutes'>;
  now: () => Date;
};

/** The revocations that one issuer has made (R14): a sequence without gaps, with a signed head. */
export type RevocationSequence = {
  /**
   * Writes the revocations in the transaction of `query`; they exist when it commits. Whoever writes at the same time
   * waits: numbers follow the order of commits.
   */
  revoke(query: Query, targets: readonly RevocationTarget[]): Promise<void>;
  /**
   * Whether a token is revoked here, as of this very moment: what the sequence says, without waiting for a follower.
   * @param within the transaction in which that is asked; none: one of its own
   */
  revokes(principal: RevocableBy, within?: Query): Promise<boolean>;
  /** The entries after that number, at most {@link REVOCATIONS_PER_PAGE}, under a head that is at most a second old. */
  page(after: number): Promise<RevocationPage>;
  /** Deletes what no living token and no session can meet any more. */
  forget(): Promise<void>;
};

const HEAD_LIFE_MS = 1_000;
/** The most that `before` may lie ahead: tokens until then are revoked too, and live as long as any. */
const AHEAD_SECONDS = 60;

export function openRevocations(spec: OpenRevocations): RevocationSequence {
  const { query, issuer, profile, now } = spec;
  // What is judged by it is a token, dead by itself then, or a session of pages: unused for as long it is dead, used it was judged.
  const keptSeconds = Math.max(profile.accessTokenMinutes, profile.sessionIdleMinutes) * 60;
  let signed: { seq: number; at: number; head: Promise<string> } | null = null;

  /** Signed again once a second, and at once when there is news; asked for by every follower, every second. */
  function headAt(seq: number): Promise<string> {
    const at = now().getTime();
    if (signed?.seq !== seq || at - signed.at >= HEAD_LIFE_MS) {
      const head = issuer.signHead(seq);
      signed = { seq, at, head };
      head.catch(() => (signed = null));
    }
    return signed.head;
  }

  return {
    async revoke(within, targets) {
      if (targets.length === 0) return;
      const known = targets.map((target) => revocationTarget.parse(target));
      const until = Math.floor(now().getTime() / 1000) + AHEAD_SECONDS + keptSeconds + 1;
      await within(
        `with head as (update revocation_head set seq = seq + $1 returning seq - $1 as before)
         insert into revocations (seq, target_key, target, until)
         select head.before + t.place, t.key, t.target, to_timestamp($4)
         from head, unnest($2::text[], $3::text[]) with ordinality as t (key, target, place)`,
        [known.length, known.map(keyOf), known.map((target) => JSON.stringify(target)), until],
      );
    },
    async revokes(principal, within = query) {
      const rows = await within<{ seq: string; target: string; until: Date }>(
        'select seq, target, until from revocations where target_key = any($1) and until > $2',
        [namesOf(principal), now()],
      );
      const known = createRevocationSet();
      for (const row of rows) known.add(entryOf(row));
      return known.revokes(principal);
    },
    async page(after) {
      // One statement, one snapshot: what it does not show had not been committed when the head was read.
      const rows = await query<{ head: string; seq: string | null; target: string; until: Date }>(
        `select head.seq as head, r.seq, r.target, r.until from revocation_head head
         left join lateral (
           select seq, target, until from revocations where seq > $1 and until > $2 order by seq limit $3
         ) r on true order by r.seq`,
        [after, now(), REVOCATIONS_PER_PAGE],
      );
      const headSeq = Number(rows[0]?.head ?? 0);
      const revocations = rows.filter(({ seq }) => seq !== null).map(entryOf);
      const last = revocations.at(-1)?.seq ?? headSeq;
      const through = revocations.length < REVOCATIONS_PER_PAGE ? headSeq : last;
      return { head: await headAt(headSeq), through, revocations };
    },
    async forget() {
      await query('delete from revocations where until <= $1', [now()]);
    },
  };
}

/** Every name under which a token could be revoked. */
function namesOf({
  tenant,
  issuer,
  tokenId,
  keyId,
  sessionId,
  person,
  clientId,
  actors,
  claims,
}: RevocableBy): string[] {
  const grantId = claims['grant_id'];
  const before = 1;
  const targets: RevocationTarget[] = [
    { kind: 'token', issuer, tokenId },
    { kind: 'key', issuer, keyId },
    { kind: 'tenant', tenant, before },
    ...[clientId, ...actors].map((client) => ({ kind: 'client' as const, client, before })),
    ...(sessionId === undefined ? [] : [{ kind: 'session' as const, issuer: person?.issuer ?? issuer, sessionId }]),
    ...(typeof grantId === 'string' ? [{ kind: 'grant' as const, grantId, before }] : []),
    ...(person === null ? [] : [{ kind: 'subject' as const, tenant, ...person, before }]),
  ];
  return targets.map(keyOf);
}

const entryOf = ({ seq, target, until }: { seq: string | null; target: string; until: Date }): Revocation => ({
  seq: Number(seq),
  until: Math.ceil(until.getTime() / 1000),
  target: revocationTarget.parse(JSON.parse(target)),
});
