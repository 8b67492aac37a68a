import { problem } from '@postern/runtime';

/**
 * The namespace of records is the workload on the connection, by its certificate (R4). A token alone names none: with
 * a plain `records:read` nobody reads what another workload stored, whoever's token it is.
 * @throws Problem `workload_unknown`
 */
export function namespaceOf(workload: string | null): string {
  if (workload === null) throw problem('workload_unknown');
  return workload;
}
