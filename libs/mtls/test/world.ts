import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueSelfSigned, openAuthority, type Authority, type Leaf } from '@postern/testing';

const HOUR_MS = 3_600_000;
const from = (hours: number) => new Date(Date.now() + hours * HOUR_MS);

/** A folder of this spec. */
export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'postern-mtls-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Certificates that our clients must not take from a server they reach as 127.0.0.1 or localhost. */
export async function wrongServers(
  folder: string,
  authority: Authority,
  workload: string,
): Promise<Record<string, Leaf>> {
  const other = openAuthority({ directory: join(folder, 'other-ca'), name: 'Postern development CA' });
  return {
    'a self-signed certificate': await issueSelfSigned(workload, { into: join(folder, 'self-signed-server') }),
    'a certificate of another CA of the same name': await other.issue(workload),
    'an expired certificate': await authority.issue(workload, { notBefore: from(-48), notAfter: from(-1) }),
    'a certificate not yet valid': await authority.issue(workload, { notBefore: from(1), notAfter: from(24) }),
    'a certificate of another name': await authority.issue(workload, {
      dns: ['other.dev.postern.internal'],
      addresses: [],
    }),
    'a certificate for clients only': await authority.issue(workload, { usages: ['clientAuth'] }),
  };
}
