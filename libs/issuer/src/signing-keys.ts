import {
  calculateJwkThumbprint,
  exportJWK,
  exportPKCS8,
  generateKeyPair,
  importPKCS8,
  type CryptoKey,
  type JSONWebKeySet,
  type JWK,
} from 'jose';
import { publishedAt, signingAt, type KeyTimes } from './key-times.ts';
import type { SignedType, Query, Seal } from './ports.ts';

export type SigningKey = {
  kind: SignedType;
  number: number;
  kid: string;
  alg: string;
  publicJwk: JWK;
  privateKey: CryptoKey;
  signsFrom: Date;
};

export type SigningKeys = {
  signing(kind: SignedType): Promise<SigningKey>;
  published(): Promise<SigningKey[]>;
  /** Makes each kind's next key: published at once, signing after `publishAheadSeconds`. */
  rotate(): Promise<void>;
  /**
   * Takes a key away, in the transaction of `within`, and puts one in its place that signs at once.
   * @returns false where there is no such key
   */
  replace(within: Query, kid: string): Promise<boolean>;
  /** Reads the table again; where that fails, nothing is signed until it was read. */
  reload(): Promise<void>;
};

export type SigningKeysSpec = {
  query: Query;
  seal: Seal;
  kinds: readonly SignedType[];
  alg: string;
  longestLifeSeconds: number;
  times: KeyTimes;
  now: () => Date;
};

type Row = {
  kind: SignedType;
  number: number;
  kid: string;
  alg: string;
  public_jwk: string;
  sealed_private: Uint8Array;
  signs_from: Date;
};

/** NIST SP 800-57 part 1, table 2: 128 bits of security, as P-256 has. Elliptic keys have no such length. */
const RSA_BITS = 3072;

/** A private key's place in its envelope. */
export const contextOfKey = (kind: string, kid: string): Record<string, string> => ({ kind, kid });

/** The public halves as they are published (RFC 7517). */
export const keySetOf = (keys: readonly SigningKey[]): JSONWebKeySet => ({
  keys: keys.map(({ publicJwk, kid, alg }) => ({ ...publicJwk, kid, alg, use: 'sig' })),
});

/**
 * The issuer's keys, as Postgres holds them. Nobody decides alone: a key exists once its row does, and of replicas that
 * make number n of a kind at once the first row stands and all use it. Each kind has keys of its own (R7).
 */
export async function openSigningKeys(spec: SigningKeysSpec): Promise<SigningKeys> {
  const { query, seal, kinds, alg, longestLifeSeconds, times, now } = spec;
  let keys: SigningKey[] = [];
  let readAt = -Infinity;
  let reading: Promise<void> | null = null;

  async function load() {
    const rows = await query<Row>(
      'select kind, number, kid, alg, public_jwk, sealed_private, signs_from from issuer_keys where kind = any($1) order by kind, number',
      [kinds],
    );
    const known = new Map(keys.map((key) => [key.kid, key]));
    const alive = rows.map((row) => known.get(row.kid) ?? opened(row));
    keys = await Promise.all(alive);
    readAt = now().getTime();
  }

  async function opened(row: Row): Promise<SigningKey> {
    const { kind, number, kid } = row;
    const pem = Buffer.from(await seal.open(row.sealed_private, contextOfKey(kind, kid)));
    const privateKey = await importPKCS8(pem.toString('utf8'), row.alg);
    pem.fill(0);
    const publicJwk = JSON.parse(row.public_jwk) as JWK;
    return { kind, number, kid, alg: row.alg, publicJwk, privateKey, signsFrom: row.signs_from };
  }

  /** @returns false where that number was made already, here or by another replica: then that one stands. */
  async function create(kind: SignedType, number: number, signsFrom: Date, within: Query = query): Promise<boolean> {
    const pair = await generateKeyPair(alg, { extractable: true, modulusLength: RSA_BITS });
    const publicJwk = await exportJWK(pair.publicKey);
    const kid = await calculateJwkThumbprint(publicJwk);
    const pem = Buffer.from(await exportPKCS8(pair.privateKey));
    const sealed = Buffer.from(await seal.seal(pem, contextOfKey(kind, kid)));
    pem.fill(0);
    const made = await within(
      `insert into issuer_keys (kind, number, kid, alg, public_jwk, sealed_private, signs_from, created_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing returning 1`,
      [kind, number, kid, alg, JSON.stringify(publicJwk), sealed, signsFrom, now()],
    );
    return made.length > 0;
  }

  const ofKind = (kind: SignedType) => keys.filter((key) => key.kind === kind);
  const newestOf = (kind: SignedType) => ofKind(kind).at(-1);
  const later = (seconds: number) => new Date(now().getTime() + seconds * 1000);

  /** First keys sign at once, since nobody can hold an older set; the next one is made in time for its overlap. */
  async function ensure() {
    await load();
    const missing = kinds.filter((kind) => newestOf(kind) === undefined);
    for (const kind of missing) await create(kind, 1, now());
    const due = kinds.filter((kind) => {
      const newest = newestOf(kind);
      const lead = (times.rotateAfterSeconds - times.publishAheadSeconds) * 1000;
      // One of another algorithm than is signed by today is succeeded as an old one is: published first (R13).
      return newest !== undefined && (newest.alg !== alg || now().getTime() >= newest.signsFrom.getTime() + lead);
    });
    for (const kind of due) await next(kind);
    if (missing.length + due.length > 0) await load();
  }

  const isComing = (kind: SignedType) => (newestOf(kind)?.signsFrom ?? now()) > now();
  const next = (kind: SignedType) => create(kind, (newestOf(kind)?.number ?? 0) + 1, later(times.publishAheadSeconds));

  function fresh(): Promise<void> {
    if (now().getTime() - readAt < times.reloadAfterSeconds * 1000) return Promise.resolve();
    reading ??= ensure()
      .catch((error: unknown) => {
        // What is held stays true while no key that others make could have begun to sign; of a kind without a key nothing is held.
        const isMissing = kinds.some((kind) => newestOf(kind) === undefined);
        if (isMissing || now().getTime() - readAt >= times.publishAheadSeconds * 1000) throw error;
      })
      .finally(() => (reading = null));
    return reading;
  }

  /** Rows whose last token is dead: nobody needs their private half any more. */
  async function forget() {
    const wanted = new Set(kinds.flatMap((kind) => publishedAt(ofKind(kind), now(), longestLifeSeconds)));
    const dead = keys.filter((key) => !wanted.has(key)).map(({ kid }) => kid);
    if (dead.length > 0) await query('delete from issuer_keys where kid = any($1)', [dead]);
  }

  await fresh();
  return {
    async signing(kind) {
      await fresh();
      const key = signingAt(ofKind(kind), now());
      if (!key) throw new Error(`no key signs ${kind}`);
      return key;
    },
    async published() {
      await fresh();
      return kinds.flatMap((kind) => publishedAt(ofKind(kind), now(), longestLifeSeconds));
    },
    async replace(within, kid) {
      const [gone] = await within<{ kind: SignedType }>(
        'delete from issuer_keys where kid = $1 and kind = any($2) returning kind',
        [kid, kinds],
      );
      if (!gone) return false;
      const [newest] = await within<{ number: number }>(
        'select coalesce(max(number), 0) as number from issuer_keys where kind = $1',
        [gone.kind],
      );
      let number = Math.max(newest?.number ?? 0, ...ofKind(gone.kind).map((key) => key.number)) + 1;
      // What another replica makes meanwhile is a rotation, and signs only in a while: nothing would sign until then.
      while (!(await create(gone.kind, number, now(), within))) number += 1;
      return true;
    },
    async reload() {
      // A look that is under way may have begun before what this one is to see.
      await reading?.catch(() => {});
      readAt = -Infinity;
      await fresh();
    },
    async rotate() {
      await ensure();
      // One that is published and does not sign yet is the rotation that was asked for, by whichever replica.
      for (const kind of kinds) if (!isComing(kind)) await next(kind);
      await load();
      await forget();
      await load();
    },
  };
}
