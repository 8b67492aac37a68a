import { join } from 'node:path';
import { issueSelfSigned, openAuthority, type Authority, type IssueOptions, type Leaf } from './authority.ts';

const HOUR_MS = 3_600_000;
const from = (hours: number) => new Date(Date.now() + hours * HOUR_MS);

/** What a workload must not get in with. `null` is no certificate at all. */
export type Credential = {
  leaf: Leaf | null;
  tls?: { minVersion: 'TLSv1.1' | 'TLSv1.2'; maxVersion: 'TLSv1.1' | 'TLSv1.2' };
};

/** Every way to be wrong, with a certificate for `workload` under `authority` where the fault is elsewhere. */
export async function wrongClients(
  folder: string,
  authority: Authority,
  workload: string,
): Promise<Record<string, Credential>> {
  const issue = async (options: IssueOptions) => ({ leaf: await authority.issue(workload, options) });
  const other = openAuthority({ directory: join(folder, 'other-ca'), name: 'Postern development CA' });
  const good = await authority.issue(workload);
  return {
    'no certificate': { leaf: null },
    'a self-signed certificate': { leaf: await issueSelfSigned(workload, { into: join(folder, 'self-signed') }) },
    'a certificate of another CA of the same name': {
      leaf: await other.issue(workload, { into: join(folder, 'other') }),
    },
    'an expired certificate': await issue({ notBefore: from(-48), notAfter: from(-1) }),
    'a certificate not yet valid': await issue({ notBefore: from(1), notAfter: from(24) }),
    'a certificate for servers only': await issue({ usages: ['serverAuth'] }),
    'a URI name outside the CA’s constraints': await issue({ uris: ['spiffe://prod.postern.internal/crypto-store'] }),
    'a DNS name outside the CA’s constraints': await issue({ dns: ['crypto-store.example.com'] }),
    'an address outside the CA’s constraints': await issue({ addresses: ['10.0.0.1'] }),
    'TLS 1.2': { leaf: good, tls: { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } },
    'TLS 1.1': { leaf: good, tls: { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' } },
  };
}
