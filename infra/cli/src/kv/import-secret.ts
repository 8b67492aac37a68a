import { PosternError, type CallAs, type Records, type RecordValue } from '@postern/client';
import { type KvSecret, type KvSource, type KvVersion } from './kv-source.ts';

/** What was not taken, and why. `nothing`: KV itself can no longer give it. */
export type NotTaken = { path: string; version?: number; reason: string; nothing: boolean };

export type Imported = {
  /** Versions written now; in a dry run, those that would be. */
  written: number;
  /** Versions that an earlier run wrote. */
  already: number;
  notTaken: NotTaken[];
};

export type ImportTo = {
  records: Pick<Records, 'get' | 'put' | 'destroy' | 'versions'>;
  as: CallAs;
  /** The record's key for a path. */
  keyOf: (path: string) => string;
  dryRun: boolean;
};

/** What crypto-store takes (its README): pairs of metadata, one of which is ours per name below, and versions kept. */
const MOST_PAIRS = 16 - 2;
const MOST_KEPT = 64;
const NAME = /^[A-Za-z0-9._-]{1,64}$/;
const LONGEST_VALUE = 512;
const MOST_BYTES = 1 << 20;
const LONGEST_KEY = 512;

/** Under these names a record says which version of the source it is; a later run goes on after it. */
const VERSION = 'kv.version';
const CREATED = 'kv.created';

/**
 * Takes one secret over: each version that KV can still give becomes a version of the record, oldest first, with its custom
 * metadata, its number and its time. Where KV's newest version is deleted, the record's newest is a destroyed one, so that a
 * read finds nothing there either. Run again, it goes on where it stopped.
 * @throws PosternError when the destination cannot be reached
 */
export async function importSecret(source: KvSource, secret: KvSecret, to: ImportTo): Promise<Imported> {
  const { path } = secret;
  const key = to.keyOf(path);
  const imported: Imported = { written: 0, already: 0, notTaken: [] };
  const leave = (reason: string, nothing: boolean, version?: number) =>
    void imported.notTaken.push({ path, reason, nothing, ...(version === undefined ? {} : { version }) });

  if (key.length > LONGEST_KEY || !key.isWellFormed() || /\p{Cc}/u.test(key)) {
    leave('key_not_taken', false);
    return imported;
  }
  const there = await whatIsThere(to, key);
  if (there === 'of somebody else') {
    leave('record_exists', false);
    return imported;
  }
  const { metadata, dropped } = metadataOf(secret);
  for (const name of dropped) leave(`metadata_not_taken: ${name}`, false);

  // Undefined where a read finds nothing: also after a deleted secret was ended.
  let etag = there?.etag;
  for (const version of secret.versions) {
    const known = there !== null && version.version <= there.version;
    if (known && version.state === 'live') {
      imported.already += 1;
      continue;
    }
    const data = version.state === 'live' ? await source.data(path, version.version) : null;
    if (data === null) {
      leave(version.state === 'live' ? 'gone_meanwhile' : version.state, true, version.version);
      const isLast = version.version === secret.newest;
      if (isLast && !known && !to.dryRun && etag !== undefined) await endWithNothing(to, key, secret, version, etag);
      continue;
    }
    if (Buffer.byteLength(data) > MOST_BYTES) {
      leave('too_large', false, version.version);
      continue;
    }
    if (!to.dryRun) etag = await writeVersion(to, { key, data, metadata, secret, version }, etag);
    imported.written += 1;
  }
  return imported;
}

type There = { version: number; etag: string | undefined };

/** How far an earlier run came with this record; null where there is none. */
async function whatIsThere({ records, as }: ImportTo, key: string): Promise<There | null | 'of somebody else'> {
  const found = await orNothing(records.versions(key, as));
  if (found === null) return null;
  const newest = found.versions.find(({ state }) => state === 'live');
  if (newest === undefined) return 'of somebody else';
  const value: RecordValue | null = await orNothing(records.get(key, as, { version: newest.version }));
  const version = Number(value?.metadata[VERSION]);
  if (!Number.isSafeInteger(version)) return 'of somebody else';
  return { version, etag: found.version === newest.version ? newest.etag : undefined };
}

type Writing = {
  key: string;
  data: string;
  metadata: Readonly<Record<string, string>>;
  secret: KvSecret;
  version: KvVersion;
};

/** Only over what this import wrote before, or over nothing: whoever writes meanwhile is not written over. */
async function writeVersion(
  { records, as }: ImportTo,
  { key, data, metadata, secret, version }: Writing,
  etag?: string,
) {
  const written = await records.put(key, data, as, {
    type: 'application/json',
    metadata: { ...metadata, [VERSION]: String(version.version), [CREATED]: version.createdAt },
    ...settingsOf(secret),
    ...(version.endsAt === null ? {} : { expiresAt: new Date(version.endsAt) }),
    ...(etag === undefined ? { ifNoneMatch: '*' } : { ifMatch: etag }),
  });
  return written.etag;
}

/** A version with nothing in it, destroyed at once. */
async function endWithNothing(
  { records, as }: ImportTo,
  key: string,
  secret: KvSecret,
  version: KvVersion,
  etag: string,
) {
  const metadata = { [VERSION]: String(version.version), [CREATED]: version.createdAt };
  const last = await records.put(key, '{}', as, {
    type: 'application/json',
    metadata,
    ...settingsOf(secret),
    ifMatch: etag,
  });
  await records.destroy(key, { versions: [last.version] }, as, { ifMatch: last.etag });
}

const settingsOf = ({ maxVersions, casRequired }: KvSecret) => ({
  ...(maxVersions > 0 ? { keepVersions: Math.min(maxVersions, MOST_KEPT) } : {}),
  ...(casRequired ? { requireMatch: true } : {}),
});

function metadataOf({ customMetadata }: KvSecret) {
  const pairs = Object.entries(customMetadata);
  const fits = ([name, value]: [string, string], at: number) =>
    at < MOST_PAIRS && NAME.test(name) && value.length <= LONGEST_VALUE && name !== VERSION && name !== CREATED;
  return {
    metadata: Object.fromEntries(pairs.filter(fits)),
    dropped: pairs.filter((pair, at) => !fits(pair, at)).map(([name]) => name),
  };
}

async function orNothing<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof PosternError && error.code === 'record_not_found') return null;
    throw error;
  }
}
