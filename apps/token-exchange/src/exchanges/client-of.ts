import type { PolicyDocument } from '@postern/policy';

/** The OAuth client that a workload is: as which its tokens are issued. */
export const clientOf = ({ workloads }: PolicyDocument, name: string): string =>
  workloads.find((workload) => workload.name === name)?.client ?? name;
