import type { PolicyDocument } from '@postern/policy';

/**
 * What tokens call a workload that is named by its name or by its OAuth client: tokens that it holds name the client, those in
 * which it acts its name.
 */
export function namesOfWorkload({ workloads }: Pick<PolicyDocument, 'workloads'>, called: string): string[] {
  const same = workloads.filter(({ name, client }) => name === called || client === called);
  return [...new Set([called, ...same.flatMap(({ name, client = name }) => [name, client])])];
}
