import { AssumeRoleWithWebIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { systemNow, type Now } from '@postern/runtime';
import { awsRequests } from './aws-requests.ts';
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
  now?: Now;
};

export type AwsCredentials = {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
  expiration: Date;
};

/** The shortest that STS gives: what leaks is soon worth nothing. */
const SESSION_SECONDS = 900;
/** With this much left a renewal begins beside the requests; they go on with what is held. */
const RENEW_AHEAD_MS = 300_000;
/** With less left nobody begins a request with it. */
const TOO_LATE_MS = 10_000;
/** After a failed renewal. */
const REST_MS = 5_000;

/**
 * Credentials by STS AssumeRoleWithWebIdentity, as the SDK's clients ask for them at each request. No long-lived key
 * exists. They are renewed before they expire; while STS or the identity provider is away, what is held serves to its end.
 * @returns a function that rejects with what STS, or the source of the token, said.
 */
export function webIdentityCredentials(options: WebIdentityOptions): () => Promise<AwsCredentials> {
  const { now = systemNow } = options;
  let held: AwsCredentials | undefined;
  let renewing: Promise<AwsCredentials> | undefined;
  let restUntil = 0;

  const renew = (): Promise<AwsCredentials> =>
    (renewing ??= assumeRole(options)
      .then((credentials) => (held = credentials))
      .finally(() => (renewing = undefined)));

  return async () => {
    const at = now().getTime();
    const left = held === undefined ? 0 : held.expiration.getTime() - at;
    if (held === undefined || left <= TOO_LATE_MS) return renew();
    if (left <= RENEW_AHEAD_MS && at >= restUntil) {
      restUntil = at + REST_MS;
      renew().catch(() => {});
    }
    return held;
  };
}

async function assumeRole({
  roleArn,
  sessionName,
  region,
  token,
  endpoint,
}: WebIdentityOptions): Promise<AwsCredentials> {
  const sts = new STSClient({ region, requestHandler: awsRequests, ...(endpoint === undefined ? {} : { endpoint }) });
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
}
