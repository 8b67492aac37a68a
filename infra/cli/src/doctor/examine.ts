import { type TlsIdentity } from '@postern/client';
import { problem, type Finding } from './finding.ts';
import { judgeCertificate } from './judge-certificate.ts';
import { judgeMetrics } from './judge-metrics.ts';
import { judgeService, judgeTogether } from './judge-service.ts';
import { lookAtService, type ServiceView } from './look-at-service.ts';

export type Patient = { name: string; management: string; listeners: readonly string[] };
export type Examination = { views: ServiceView[]; findings: Finding[] };

/** Looks at every service at once. What cannot be reached is a finding, not an error. */
export async function examine(
  patients: readonly Patient[],
  identity: TlsIdentity,
  now = new Date(),
): Promise<Examination> {
  const views: ServiceView[] = [];
  const found = await Promise.all(
    patients.map(async ({ name, management, listeners }) => {
      const certificates = Promise.all(listeners.map((url) => judgeCertificate(name, url, identity, now)));
      try {
        const view = await lookAtService(name, management);
        views.push(view);
        return [...judgeService(view), ...judgeMetrics(view), ...(await certificates)];
      } catch (error) {
        const reason = (error as Error & { cause?: NodeJS.ErrnoException }).cause?.code ?? (error as Error).name;
        const todo = 'is the process up, and is its management listener reachable from here (POSTERN_MANAGEMENT_HOST)?';
        return [problem(name, 'management', `no answer from ${management}: ${reason}`, todo), ...(await certificates)];
      }
    }),
  );
  views.sort((left, right) => left.name.localeCompare(right.name));
  return { views, findings: [...found.flat(), ...judgeTogether(views)] };
}
