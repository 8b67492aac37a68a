import { AssumeRoleWithWebIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { type Egress } from '@postern/egress';
import { answered, failed } from '../provider-answers.ts';
import { awsProblem } from './aws-problem.ts';
import { awsEndpoint } from './aws-provider.ts';
import { overEgress } from './transport.ts';

export type WebIdentity = {
  region: string;
  roleArn: string;
  /** Mints this tenant's assertion for the audience `sts.amazonaws.com` (R36). */
  assertion: () => Promise<string>;
  egress: Pick<Egress, 'request'>;
  timeoutMs: number;
  endpoint?: string;
};

const SESSION_SECONDS = 900;

/** A tenant's role, taken on with the tenant's own assertion; sessions last 15 minutes. A credential provider of the SDK. */
export function roleByAssertion({ region, roleArn, assertion, egress, timeoutMs, endpoint }: WebIdentity) {
  const sts = new STSClient({
    region,
    endpoint: endpoint ?? awsEndpoint('sts', region),
    maxAttempts: 1,
    requestHandler: overEgress(egress, timeoutMs) as never,
    // The call is not signed: the assertion is the credential.
    credentials: { accessKeyId: 'none', secretAccessKey: 'none' },
  });
  return async () => {
    const command = new AssumeRoleWithWebIdentityCommand({
      RoleArn: roleArn,
      RoleSessionName: 'postern-key-proxy',
      WebIdentityToken: await assertion(),
      DurationSeconds: SESSION_SECONDS,
    });
    const { Credentials: session } = await answered(() => sts.send(command), awsProblem);
    const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken } = session ?? {};
    if (accessKeyId === undefined || secretAccessKey === undefined || sessionToken === undefined)
      throw failed(new Error('an answer without a session'));
    const ends = session?.Expiration?.getTime() ?? Date.now() + SESSION_SECONDS * 1000;
    return { accessKeyId, secretAccessKey, sessionToken, expiration: new Date(ends) };
  };
}
