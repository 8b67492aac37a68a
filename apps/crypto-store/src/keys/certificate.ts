import { createHash } from 'node:crypto';
import { awaitOlderTransactions, type DescribedKey } from '@postern/branch-keys';
import { signAsWorkload, type TlsMaterial } from '@postern/mtls';
import { type Query } from '@postern/postgres';
import { uuidv7 } from '@postern/runtime';

/** `typ` of a certificate, so that it is taken for nothing else (R7). */
export const CERTIFICATE_TYPE = 'postern-key-certificate+jws';

export type VersionUse = { number: number; version: string; messages: number };

/** What is signed: how many messages each version that no longer seals protects at an instant; never fewer than there are. */
export type KeyCertificate = {
  v: 1;
  service: string;
  tenant: string;
  purpose: string;
  keyId: string;
  /** Versions that protect nothing, and never will again: nothing is sealed under them any more. */
  unused: VersionUse[];
  inUse: VersionUse[];
  at: string;
};

/** After this, what is counted of versions that do not seal can only become less. */
export const settleVersions = (query: Query, signal?: AbortSignal): Promise<void> =>
  awaitOlderTransactions(query, signal);

/** Messages in this database under each version of the key that does not seal. */
export async function countUse(query: Query, key: DescribedKey): Promise<VersionUse[]> {
  const old = key.versions.filter(({ state }) => state === 'decrypt-only' || state === 'disabled');
  const rows = await query<{ version: string; messages: number }>(
    `select named.version, (select count(*) from record_versions v where v.key_version = named.version::uuid)::int
                         + (select count(*) from records r where r.key_version = named.version::uuid)::int as messages
       from unnest($1::text[]) as named (version)`,
    [old.map(({ version }) => version)],
  );
  const counted = new Map(rows.map(({ version, messages }) => [version, messages]));
  return old
    .map(({ number, version }) => ({ number, version, messages: counted.get(version) ?? 0 }))
    .toSorted((a, b) => a.number - b.number);
}

/**
 * Signs what a settled count says, with the service's certificate, and keeps it: a version that it names as unused may be
 * destroyed. Call it in the transaction that records it.
 */
export async function certify(
  query: Query,
  {
    key,
    use,
    tls,
    service,
    now,
  }: { key: DescribedKey; use: VersionUse[]; tls: TlsMaterial; service: string; now: Date },
): Promise<{ certificate: string; hash: string; unused: VersionUse[] }> {
  const unused = use.filter(({ messages }) => messages === 0);
  const statement: KeyCertificate = {
    v: 1,
    service,
    tenant: key.tenant,
    purpose: key.purpose,
    keyId: key.branchKeyId,
    unused,
    inUse: use.filter(({ messages }) => messages > 0),
    at: now.toISOString(),
  };
  const certificate = signAsWorkload(CERTIFICATE_TYPE, JSON.stringify(statement), tls.current());
  await query(
    `insert into key_certificates (id, tenant, branch_key_id, versions, certificate, created_at)
     values ($1, $2, $3, $4, $5, $6)`,
    [uuidv7(), key.tenant, key.branchKeyId, unused.map(({ version }) => version), certificate, now],
  );
  return { certificate, hash: createHash('sha256').update(certificate).digest('hex'), unused };
}

/** Whether a certificate of this key says that the version protects nothing. */
export async function isCertified(query: Query, branchKeyId: string, version: string): Promise<boolean> {
  const rows = await query('select 1 from key_certificates where branch_key_id = $1 and $2 = any(versions) limit 1', [
    branchKeyId,
    version,
  ]);
  return rows.length > 0;
}
