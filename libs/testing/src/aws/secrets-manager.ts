import { randomUUID } from 'node:crypto';
import { IAMClient } from '@aws-sdk/client-iam';
import { developmentCa } from '../authority/development-ca.ts';
import { passOnTo, startHttpsFront, type FrontAnswer, type FrontRequest, type HttpsFront } from '../run/https-front.ts';
import { startMoto } from './moto.ts';
import { createServiceRole } from './service-role.ts';
import { assumable, StsRefusal } from './web-identity.ts';

/** AWS Secrets Manager and STS: moto, behind TLS and what it leaves out of their documented behaviour. */
export type SecretsManager = HttpsFront & {
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** moto itself, by plain HTTP on loopback. */
  emulator: string;
  /** A role that only this issuer's assertion of this subject takes; returns its ARN. Once an issuer. */
  createRole(trusted: { role: string; issuer: string; subject: string }): Promise<string>;
};

const TARGET = 'secretsmanager.';
const ASSUME = 'AssumeRoleWithWebIdentity';
const REGION = 'eu-west-1';
const MOST_BYTES = 65_536;
const CURRENT = 'AWSCURRENT';

type Body = Record<string, never> & {
  SecretId?: string;
  SecretString?: string;
  SecretBinary?: string;
  ClientRequestToken?: string;
  VersionId?: string;
  VersionStage?: string;
  VersionStages?: string[];
};

/**
 * What moto does otherwise than the API reference says, and is put right here:
 * - it takes any access key (Common errors: UnrecognizedClientException);
 * - it takes values of any length (Quotas: 65,536 bytes) and writes into a deleted secret (PutSecretValue: InvalidRequestException);
 * - it reads by the version that was written last, not by the label AWSCURRENT (GetSecretValue: "returns the AWSCURRENT
 *   version"), so that a label that was moved (UpdateSecretVersionStage) is not seen. Here reads name the label, and a
 *   write moves it;
 * - it gives a session for any token. Here STS verifies web identity tokens and keeps trust policies (`web-identity.ts`),
 *   and only a session that it gave is taken, with its token.
 *
 * Left as it is: a role may do everything, no signatures are checked, and nothing is throttled but by a fault.
 */
export async function startSecretsManager(): Promise<SecretsManager> {
  const moto = await startMoto();
  const forward = passOnTo(moto.endpoint);
  const sessions = new Map<string, string>();
  const operator = { accessKeyId: `AKIA${randomUUID().slice(0, 16)}`, secretAccessKey: randomUUID() };
  const direct = { endpoint: moto.endpoint, region: REGION, operator };
  const iam = new IAMClient({ endpoint: moto.endpoint, region: REGION, credentials: operator });
  const ca = await developmentCa().certificate();
  const accessKeyId = `AKIA${randomUUID().slice(0, 12).replaceAll('-', 'X').toUpperCase()}`;

  async function send(request: FrontRequest, operation: string, body: object): Promise<FrontAnswer> {
    const headers = { ...request.headers, 'x-amz-target': `${TARGET}${operation}` };
    return forward({ ...request, headers, body: Buffer.from(JSON.stringify(body)) });
  }
  const parsed = ({ body }: FrontAnswer) => JSON.parse(String(body)) as Record<string, unknown>;

  async function put(request: FrontRequest, body: Body): Promise<FrontAnswer> {
    const described = parsed(await send(request, 'DescribeSecret', { SecretId: body.SecretId }));
    if (described['DeletedDate'])
      return refusal(
        'InvalidRequestException',
        "You can't perform this operation on the secret because it was marked for deletion.",
      );
    const stages = Object.entries((described['VersionIdsToStages'] ?? {}) as Record<string, string[]>);
    const current = stages.find(([, labels]) => labels.includes(CURRENT))?.[0];
    if (body.VersionStages !== undefined || current === undefined) return send(request, 'PutSecretValue', body);
    const written = await send(request, 'PutSecretValue', { ...body, VersionStages: ['UNLABELLED'] });
    if (written.status !== 200) return written;
    const { VersionId } = parsed(written);
    const moved = {
      SecretId: body.SecretId,
      VersionStage: CURRENT,
      MoveToVersionId: VersionId,
      RemoveFromVersionId: current,
    };
    if (VersionId !== current) await send(request, 'UpdateSecretVersionStage', moved);
    return written;
  }

  async function assumeRole(request: FrontRequest): Promise<FrontAnswer> {
    const form = new URLSearchParams(request.body.toString());
    try {
      await assumable(iam, { roleArn: form.get('RoleArn') ?? '', token: form.get('WebIdentityToken') ?? '', ca });
    } catch (error) {
      if (error instanceof StsRefusal) return stsRefusal(error);
      throw error;
    }
    const given = await forward(request);
    const field = (name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(String(given.body))?.[1] ?? '';
    sessions.set(field('AccessKeyId'), field('SessionToken'));
    return given;
  }

  const isTaken = ({ headers }: FrontRequest): boolean => {
    const keyId = /Credential=([^/]+)/.exec(headers['authorization'] ?? '')?.[1] ?? '';
    return keyId === accessKeyId || (sessions.has(keyId) && sessions.get(keyId) === headers['x-amz-security-token']);
  };

  const front = await startHttpsFront(async (request) => {
    if (operationOf(request) === ASSUME) return assumeRole(request);
    if (!isTaken(request))
      return refusal('UnrecognizedClientException', 'The security token included in the request is invalid.');
    const operation = operationOf(request);
    const body = JSON.parse(request.body.toString() || '{}') as Body;
    const { SecretString = '', SecretBinary = '' } = body;
    if (Buffer.byteLength(SecretString) + Buffer.from(SecretBinary, 'base64').length > MOST_BYTES)
      return refusal(
        'ValidationException',
        `Value at 'secretString' failed to satisfy constraint: Member must have length less than or equal to ${MOST_BYTES}`,
      );
    if (operation === 'PutSecretValue') return put(request, body);
    if (operation === 'GetSecretValue' && body.VersionId === undefined && body.VersionStage === undefined)
      return send(request, operation, { ...body, VersionStage: CURRENT });
    return forward(request);
  }, operationOf);

  return {
    ...front,
    region: REGION,
    accessKeyId,
    secretAccessKey: randomUUID(),
    emulator: moto.endpoint,
    createRole: (trusted) => createServiceRole(direct, { ...trusted, keyArns: [] }),
    async close() {
      iam.destroy();
      await front.close();
      await moto.close();
    },
  };
}

/** The target of a JSON call, or the action of a form (STS). */
const operationOf = ({ headers, body }: FrontRequest): string =>
  headers['x-amz-target']?.slice(TARGET.length) ?? new URLSearchParams(body.toString()).get('Action') ?? 'other';

const stsRefusal = ({ code, message }: StsRefusal): FrontAnswer => ({
  status: code === 'AccessDenied' ? 403 : 400,
  headers: { 'content-type': 'text/xml' },
  body: `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>x</RequestId></ErrorResponse>`,
});

const refusal = (type: string, message: string): FrontAnswer => ({
  status: 400,
  headers: { 'content-type': 'application/x-amz-json-1.1' },
  body: JSON.stringify({ __type: type, message }),
});
