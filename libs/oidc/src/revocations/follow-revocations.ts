import { setTimeout as wait } from 'node:timers/promises';
import { decodeProtectedHeader, compactVerify } from 'jose';
import type { KeySet } from '../key-set.ts';
import type { Principal } from '../principal.ts';
import type { Revocations } from '../verifier-spec.ts';
import { createRevocationSet } from './revocation-set.ts';
import {
  REVOCATION_HEAD_TYPE,
  revocationHead,
  type Revocation,
  type RevocationPage,
  type RevocationTarget,
} from './revocation.ts';

/** One issuer of revocations and how its sequence is read. */
export type RevocationSource = {
  issuer: string;
  /** What it may revoke; of tokens and keys, only its own. Its silence leaves open what these kinds could concern. */
  kinds: readonly RevocationTarget['kind'][];
  /** The page after that entry; rejects where the issuer does not answer. */
  read(after: number): Promise<RevocationPage>;
  keys: Pick<KeySet, 'keyFor'>;
};

/** Asks the issuer of a token itself (RFC 7662); `null` where it cannot be asked. */
export type Introspect = (principal: Principal) => Promise<boolean | null>;

export type FollowRevocations = {
  sources: readonly RevocationSource[];
  now: () => Date;
  introspect?: Introspect;
  /** Told once when a source is lost, found again, or has gone back behind what was read from it. */
  report?: (event: { issuer: string; state: 'followed' | 'lost' | 'went_back'; cause?: unknown }) => void;
  times?: FollowTimes;
};

/** Seconds. */
export type FollowTimes = {
  /** Between two looks at a source. */
  everySeconds: number;
  /** A source without a head younger than this is not believed to be known (R14). */
  staleAfterSeconds: number;
};

export const followTimes: FollowTimes = { everySeconds: 1, staleAfterSeconds: 10 };

export type FollowedRevocations = Revocations & {
  /** Resolves once the snapshot of every source was loaded. @throws Error naming those that were not */
  loaded(): Promise<void>;
  /** Resolves where nothing is stale. @throws Error naming the sources that are */
  fresh(): Promise<void>;
  /** How many revocations are held. */
  size(): number;
  close(): Promise<void>;
};

type Followed = {
  source: RevocationSource;
  /** The entries up to this number are known. */
  through: number;
  /** When the newest head was signed, seconds since the epoch. */
  headAt: number;
  state: 'new' | 'followed' | 'lost';
  looking: Promise<void> | null;
};

/**
 * Follows the revocation sequence of every source (R14): a snapshot first, then what is new, once a second. While one is
 * stale no token that it could have revoked is known to be alive: the token's own issuer is asked, else the answer is
 * `unknown`.
 */
export function followRevocations(spec: FollowRevocations): FollowedRevocations {
  const { sources, now, introspect, report = () => {}, times = followTimes } = spec;
  const known = createRevocationSet();
  const ending = new AbortController();
  const followed = sources.map((source): Followed => ({
    source,
    through: 0,
    headAt: -Infinity,
    state: 'new',
    looking: null,
  }));

  const seconds = () => Math.floor(now().getTime() / 1000);
  const stale = ({ headAt }: Followed) => seconds() - headAt > times.staleAfterSeconds;

  async function look(at: Followed): Promise<void> {
    for (;;) {
      const page = await at.source.read(at.through);
      const head = await headOf(at.source, page.head);
      if (head.seq < at.through) {
        // The issuer lost what it had said (a restored database): what was heard stays true, and its new entries count.
        report({ issuer: at.source.issuer, state: 'went_back' });
        at.through = 0;
        continue;
      }
      for (const entry of page.revocations.filter(isIts(at.source))) known.add(entry);
      const before = at.through;
      at.through = Math.max(before, page.through);
      if (at.through < head.seq) {
        // Of an issuer that is out of order; it would be asked again and again without a pause.
        if (at.through === before) throw new Error('a page that leads nowhere');
        continue;
      }
      at.headAt = head.iat;
      return;
    }
  }

  /** One look at a time, shared by whoever wants it. Never rejects. */
  function lookOnce(at: Followed): Promise<void> {
    at.looking ??= look(at)
      .then(
        () => become(at, stale(at) ? 'lost' : 'followed'),
        (cause: unknown) => become(at, at.state === 'new' ? 'new' : 'lost', cause),
      )
      .finally(() => (at.looking = null));
    return at.looking;
  }

  function become(at: Followed, state: Followed['state'], cause?: unknown): void {
    if (state === at.state) return;
    at.state = state;
    if (state !== 'new') report({ issuer: at.source.issuer, state, cause });
  }

  async function follow(at: Followed): Promise<void> {
    while (!ending.signal.aborted) {
      await lookOnce(at);
      known.forget(seconds());
      await wait(times.everySeconds * 1000, undefined, { signal: ending.signal, ref: false }).catch(() => {});
    }
  }

  const running = Promise.all(followed.map(follow));

  /** Who asks at the start waits for the looks that are under way, and need not ask again. */
  const firstLooks = () => Promise.all(followed.filter(({ state }) => state === 'new').map(lookOnce));

  /** What may have been missed is read now; where that is in vain, the token's own issuer is asked. */
  async function asked(principal: Principal): Promise<'live' | 'revoked' | 'unknown'> {
    const open = (at: Followed) => stale(at) && couldRevoke(at.source, principal);
    await Promise.all(followed.filter(open).map(lookOnce));
    if (known.revokes(principal)) return 'revoked';
    if (!followed.some(open)) return 'live';
    const alive = (await introspect?.(principal).catch(() => null)) ?? null;
    return alive === null ? 'unknown' : alive ? 'live' : 'revoked';
  }

  return {
    stateOf(principal) {
      if (known.revokes(principal)) return 'revoked';
      return followed.some((at) => stale(at) && couldRevoke(at.source, principal)) ? asked(principal) : 'live';
    },
    async loaded() {
      await firstLooks();
      assertNone(followed.filter(({ state }) => state === 'new'));
    },
    async fresh() {
      await firstLooks();
      assertNone(followed.filter(stale));
    },
    size: known.size,
    async close() {
      ending.abort();
      await running;
    },
  };
}

function assertNone(missing: readonly { source: RevocationSource }[]): void {
  const names = missing.map(({ source }) => source.issuer);
  if (names.length > 0) throw new Error(`revocations are not known of ${names.join(', ')}`);
}

/** An issuer speaks only for what the operator lets it, and of tokens and keys only for its own. */
const isIts =
  ({ kinds, issuer }: RevocationSource) =>
  ({ target }: Revocation): boolean =>
    kinds.includes(target.kind) && ((target.kind !== 'token' && target.kind !== 'key') || target.issuer === issuer);

function couldRevoke(
  { kinds, issuer }: RevocationSource,
  { issuer: by, sessionId, person, claims }: Principal,
): boolean {
  return kinds.some((kind) => {
    switch (kind) {
      case 'token':
      case 'key':
        return by === issuer;
      case 'session':
        return sessionId !== undefined;
      case 'grant':
        return typeof claims['grant_id'] === 'string';
      case 'subject':
        return person !== null;
      case 'client':
      case 'tenant':
        return true;
    }
  });
}

/** @throws Error for a head that the issuer did not sign, and for another issuer's */
async function headOf({ issuer, keys }: RevocationSource, jws: string) {
  const { alg, kid, typ } = decodeProtectedHeader(jws);
  if (typ !== REVOCATION_HEAD_TYPE || typeof alg !== 'string' || typeof kid !== 'string')
    throw new Error('no such head');
  const { payload } = await compactVerify(jws, await keys.keyFor(kid, alg), { algorithms: [alg] });
  const head = revocationHead.parse(JSON.parse(Buffer.from(payload).toString('utf8')));
  if (head.iss !== issuer) throw new Error('the head of another issuer');
  return head;
}
