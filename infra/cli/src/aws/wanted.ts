/** What an account is to hold for a deployment. */
export type Wanted = {
  /** Issuer of the web identity tokens: the realm, or the cluster. */
  issuer: string;
  /** The `aud` that those tokens carry for AWS. */
  audience: string;
  /** `POSTERN_ENVIRONMENT` of the services: bound into every wrapped key. */
  environment: string;
  /** Begins the names of alias and roles. */
  prefix: string;
  /** Service and the `sub` of its token. */
  workloads: readonly { service: string; subject: string }[];
  /** Root keys that branch keys are moved away from. */
  previousKeys: readonly string[];
  /** Whether branch keys are moved in from a local root key. */
  importsLocal: boolean;
};

type Document = { Version: '2012-10-17'; Statement: object[] };

export const aliasOf = ({ prefix, environment }: Wanted): string => `alias/${prefix}-${environment}`;
export const roleNameOf = ({ prefix, environment }: Wanted, service: string): string =>
  `${prefix}-${environment}-${service}`;
export const issuerPath = (issuer: string): string => issuer.replace(/^https:\/\//, '');

/** Who may take the role: a token of that issuer, with exactly that audience and that subject. */
export function trustPolicy({ issuer, audience }: Wanted, providerArn: string, subject: string): Document {
  const claims = { [`${issuerPath(issuer)}:aud`]: audience, [`${issuerPath(issuer)}:sub`]: subject };
  const statement = {
    Effect: 'Allow',
    Principal: { Federated: providerArn },
    Action: 'sts:AssumeRoleWithWebIdentity',
    Condition: { StringEquals: claims },
  };
  return { Version: '2012-10-17', Statement: [statement] };
}

/**
 * What the role may do: wrap, unwrap and rewrap branch keys of its own service and environment, which their encryption
 * context names, and look at the key's state. Nothing reads what another service's branch keys protect.
 */
export function keyUsePolicy(wanted: Wanted, service: string, keyArn: string): Document {
  const own = {
    StringEquals: {
      'kms:EncryptionContext:aws-crypto-ec:service': service,
      'kms:EncryptionContext:aws-crypto-ec:environment': wanted.environment,
    },
  };
  const use = ['kms:Decrypt', 'kms:GenerateDataKeyWithoutPlaintext', 'kms:ReEncryptFrom', 'kms:ReEncryptTo'];
  if (wanted.importsLocal) use.push('kms:Encrypt');
  const previous = wanted.previousKeys.map((arn) => ({
    Effect: 'Allow',
    Action: ['kms:Decrypt', 'kms:ReEncryptFrom'],
    Resource: arn,
    Condition: own,
  }));
  return {
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Action: use, Resource: keyArn, Condition: own },
      { Effect: 'Allow', Action: 'kms:DescribeKey', Resource: keyArn },
      ...previous,
    ],
  };
}
