import { busCa, developmentCa, type Authority, type Leaf } from '@postern/testing';
import { join } from 'node:path';

import { services, workloads, type Service, type Workload } from './services.ts';
import { type CertificatePaths, type Home } from './state.ts';

export type Certificates = {
  authority: Authority;
  busAuthority: Authority;
  of: Record<Workload, Leaf>;
  /** The second leaf of each service, good at the bus only (R21). */
  bus: Record<Service, CertificatePaths>;
};

/** Who signs what everybody presents, and who signs what the bus takes. */
export type Authorities = Pick<Certificates, 'authority' | 'busAuthority'>;

export const authoritiesOf = (home: Home): Authorities => ({
  authority: developmentCa(home.dir),
  busAuthority: busCa(home.dir),
});

/** The development CA, the bus CA, and a fresh 24-hour certificate for everything that has one. Again is a rotation. */
export async function issueCertificates(
  home: Home,
  { authority, busAuthority }: Authorities = authoritiesOf(home),
): Promise<Certificates> {
  const leaf = async (name: Workload) =>
    [name, await authority.issue(name, { into: join(home.dir, 'certificates', name) })] as const;
  const busLeaf = async (name: Service) =>
    [name, (await busAuthority.issue(name, { into: join(home.dir, 'certificates', 'bus', name) })).paths] as const;
  const [of, bus] = await Promise.all([Promise.all(workloads.map(leaf)), Promise.all(services.map(busLeaf))]);
  return {
    authority,
    busAuthority,
    of: Object.fromEntries(of) as Record<Workload, Leaf>,
    bus: Object.fromEntries(bus) as Record<Service, CertificatePaths>,
  };
}
