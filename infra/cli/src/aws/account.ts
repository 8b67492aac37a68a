/** An account, and the partition it is in: `aws`, or `aws-us-gov`, `aws-cn`, ... whose ARNs begin otherwise. */
export type Account = { id: string; partition: string };

/** The account of a caller's own ARN (`arn:aws-us-gov:iam::123456789012:user/ops`); undefined where it is none. */
export function accountOf(callerArn: string | undefined): Account | undefined {
  const [, partition, id] = /^arn:(aws[a-z-]*):(?:iam|sts)::(\d{12}):/.exec(callerArn ?? '') ?? [];
  return partition === undefined || id === undefined ? undefined : { id, partition };
}

export const iamArn = ({ id, partition }: Account, resource: string): string =>
  `arn:${partition}:iam::${id}:${resource}`;
