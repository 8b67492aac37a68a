import { randomUUID } from 'node:crypto';
import { passOnTo, startHttpsFront, type FrontAnswer, type FrontRequest, type HttpsFront } from '../run/https-front.ts';
import { startMoto } from './moto.ts';

/** AWS Secrets Manager: moto, behind TLS and what it leaves out of the service's documented behaviour. */
export type SecretsManager = HttpsFront & { region: string; accessKeyId: string; secretAccessKey: string };

const TARGET = 'secretsmanager.';
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
 *   write moves it.
 *
 * Left as it is: no signatures are checked, and nothing is throttled but by a fault.
 */
export async function startSecretsManager(): Promise<SecretsManager> {
  const moto = await startMoto();
  const forward = passOnTo(moto.endpoint);
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

  const front = await startHttpsFront(async (request) => {
    if (/Credential=([^/]+)/.exec(request.headers['authorization'] ?? '')?.[1] !== accessKeyId)
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
    region: 'eu-west-1',
    accessKeyId,
    secretAccessKey: randomUUID(),
    async close() {
      await front.close();
      await moto.close();
    },
  };
}

const operationOf = ({ headers }: FrontRequest): string =>
  (headers['x-amz-target'] ?? '').slice(TARGET.length) || 'other';

const refusal = (type: string, message: string): FrontAnswer => ({
  status: 400,
  headers: { 'content-type': 'application/x-amz-json-1.1' },
  body: JSON.stringify({ __type: type, message }),
});
