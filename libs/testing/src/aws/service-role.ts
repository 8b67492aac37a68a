import {
  CreateOpenIDConnectProviderCommand,
  CreateRoleCommand,
  IAMClient,
  PutRolePolicyCommand,
} from '@aws-sdk/client-iam';

const AUDIENCE = 'sts.amazonaws.com';
const ACTIONS = [
  'Decrypt',
  'DescribeKey',
  'Encrypt',
  'GenerateDataKeyWithoutPlaintext',
  'ReEncryptFrom',
  'ReEncryptTo',
];

/** Where AWS answers, and whoever sets the account up there. */
type OperatorAt = {
  endpoint: string;
  region: string;
  operator: { accessKeyId: string; secretAccessKey: string };
};

/**
 * What `postern aws bootstrap` makes, as far as tests need it: the issuer as an OIDC provider, and a role that only its
 * token of that subject takes, with all that a root key needs of these KMS keys. Returns the role's ARN.
 */
export async function createServiceRole(
  { endpoint, region, operator }: OperatorAt,
  { role, issuer, subject, keyArns }: { role: string; issuer: string; subject: string; keyArns: readonly string[] },
): Promise<string> {
  const iam = new IAMClient({ region, endpoint, credentials: operator });
  const name = issuer.replace('https://', '');
  await iam.send(new CreateOpenIDConnectProviderCommand({ Url: issuer, ClientIDList: [AUDIENCE] }));
  const trust = {
    Effect: 'Allow',
    Principal: { Federated: `arn:aws:iam::123456789012:oidc-provider/${name}` },
    Action: 'sts:AssumeRoleWithWebIdentity',
    Condition: { StringEquals: { [`${name}:aud`]: AUDIENCE, [`${name}:sub`]: subject } },
  };
  const document = (Statement: object) => JSON.stringify({ Version: '2012-10-17', Statement });
  await iam.send(new CreateRoleCommand({ RoleName: role, AssumeRolePolicyDocument: document(trust) }));
  const policy = keyArns.flatMap((Resource) =>
    ACTIONS.map((action) => ({ Effect: 'Allow', Action: `kms:${action}`, Resource })),
  );
  if (policy.length > 0)
    await iam.send(new PutRolePolicyCommand({ RoleName: role, PolicyName: 'keys', PolicyDocument: document(policy) }));
  iam.destroy();
  return `arn:aws:iam::123456789012:role/${role}`;
}
