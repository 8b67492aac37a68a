import { WORKLOADS } from '../authority/workloads.ts';

/** TLS with a client certificate under our root, whose common name the map lets in as the role. Nothing else. */
export const HOST_BASED_ACCESS = 'hostssl all all 127.0.0.1/32 cert map=workloads\n';

/** The PostgreSQL role, and the default database, of a workload. */
export const roleOf = (workload: string): string => workload.replaceAll('-', '_');

/** The role that owns a workload's schema: only migrations use it. */
export const ownerRoleOf = (workload: string): string => `${roleOf(workload)}_owner`;

/** pg_ident.conf: a workload's certificate opens its service role and its owner role. */
export function loginMap(workloads: readonly string[] = WORKLOADS): string {
  const lines = workloads.flatMap((workload) =>
    [roleOf(workload), ownerRoleOf(workload)].map((role) => `workloads ${workload} ${role}`),
  );
  return `${lines.join('\n')}\n`;
}
