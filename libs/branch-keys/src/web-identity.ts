import { AssumeRoleWithWebIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { KeysUnavailable } from './errors.ts';

export type WebIdentityOptions = {
  roleArn: string;
  /** Shown in the cloud's own log: the workload's name. */
  sessionName: string;
  region: string;
  /** A fresh token that the role's trust condition names, from the identity provider or the cluster. */
  token: () => Promise<string>;
  /** Another address than Amazon's: development only (R6). */
  endpoint?: string;
};

type AwsCredentials = { accessKeyId: string; secretAccessKey: string; sessionToken: string; expiration: Date };

const SESSION_SECONDS = 900;

/**
 * Credentials by STS AssumeRoleWithWebIdentity, for the SDK's clients, which ask again shortly before they expire. No
 * long-lived key exists.
 */
export function webIdentityCredentials(options: WebIdentityOptions): () => Promise<AwsCredentials> {
  const { roleArn, sessionName, region, token, endpoint } = options;
  return async () => {
    const sts = new STSClient({ region, ...(endpoint === undefined ? {} : { endpoint }) });
    try {
      const { Credentials } = await sts.send(
        new AssumeRoleWithWebIdentityCommand({
          RoleArn: roleArn,
          RoleSessionName: sessionName,
          WebIdentityToken: await token(),
          DurationSeconds: SESSION_SECONDS,
        }),
      );
      const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = Credentials ?? {};
      if (!AccessKeyId || !SecretAccessKey || !SessionToken || !Expiration) throw new KeysUnavailable();
      return {
        accessKeyId: AccessKeyId,
        secretAccessKey: SecretAccessKey,
        sessionToken: SessionToken,
        expiration: Expiration,
      };
    } finally {
      sts.destroy();
    }
  };
}
