import {
  BatchGetSecretValueCommand,
  CreateSecretCommand,
  DeleteSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  ListSecretsCommand,
  PutSecretValueCommand,
  RestoreSecretCommand,
  SecretsManagerClient,
  type SecretsManagerClientConfig,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import { problem, type Problem } from '@postern/runtime';
import { type SecretValue, textValue, valueOf } from '../../secrets/secret-value.ts';
import { answered, failed, halfDone } from '../provider-answers.ts';
import { type Call, type Read, type SecretProvider } from '../secret-provider.ts';
import { awsProblem } from './aws-problem.ts';
import { overEgress } from './transport.ts';
import { type Egress } from '@postern/egress';

export type AwsOptions = {
  region: string;
  credentials: NonNullable<SecretsManagerClientConfig['credentials']>;
  egress: Pick<Egress, 'request'>;
  timeoutMs: number;
  /** Amazon's own, unless an emulator stands in (tests). */
  endpoint?: string;
};

/** The label that a version is put under before it becomes the current one. */
const PENDING = 'POSTERN-PENDING';
const CURRENT = 'AWSCURRENT';
/** BatchGetSecretValue, `SecretIdList`: at most 20. */
const BATCH = 20;
const RECOVERY_DAYS = 30;

/** `secretsmanager.<region>.amazonaws.com`: never taken from a tenant, nor from the environment (R36). */
export const awsEndpoint = (service: 'secretsmanager' | 'sts', region: string): string =>
  `https://${service}.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;

/** AWS Secrets Manager, by its own SDK. A call is sent once: what may be tried again is the budget's business. */
export function awsProvider({ region, credentials, egress, timeoutMs, endpoint }: AwsOptions): SecretProvider {
  const client = new SecretsManagerClient({
    region,
    credentials,
    endpoint: endpoint ?? awsEndpoint('secretsmanager', region),
    maxAttempts: 1,
    requestHandler: overEgress(egress, timeoutMs) as never,
  });
  const send = ((command: never, { signal }: Call) =>
    answered(() => client.send(command, { abortSignal: signal }), awsProblem)) as unknown as Send;

  return {
    kind: 'aws',
    async create(reference, value, { attempt, tags }, call) {
      const { VersionId } = await send(
        new CreateSecretCommand({
          Name: reference,
          ClientRequestToken: attempt,
          ...given(value),
          Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
        }),
        call,
      );
      return { version: versionIn(VersionId) };
    },
    async put(reference, value, { attempt, ifVersion }, call) {
      const at = { SecretId: reference };
      if (ifVersion === undefined) {
        const { VersionId } = await send(
          new PutSecretValueCommand({ ...at, ClientRequestToken: attempt, ...given(value) }),
          call,
        );
        return { version: versionIn(VersionId) };
      }
      const { VersionId } = await send(
        new PutSecretValueCommand({ ...at, ClientRequestToken: attempt, ...given(value), VersionStages: [PENDING] }),
        call,
      );
      // "If the label is attached and you either do not specify this parameter, or the version ID does not match, then
      // the operation fails" (UpdateSecretVersionStage, `RemoveFromVersionId`): the comparison is the provider's.
      const stage = { ...at, VersionStage: CURRENT, MoveToVersionId: VersionId, RemoveFromVersionId: ifVersion };
      await send(new UpdateSecretVersionStageCommand(stage), call).catch((error: Problem) => {
        throw error.code === 'provider_failed' ? problem('version_conflict', { cause: error }) : error;
      });
      return { version: versionIn(VersionId) };
    },
    async read(reference, version, call) {
      const asked = version === null ? {} : { VersionId: version };
      return readOf(await send(new GetSecretValueCommand({ SecretId: reference, ...asked }), call));
    },
    async readMany(references, call) {
      const found = new Map<string, Read | Error>();
      for (let from = 0; from < references.length; from += BATCH) {
        const asked = references.slice(from, from + BATCH);
        const { SecretValues = [], Errors = [] } = await send(
          new BatchGetSecretValueCommand({ SecretIdList: [...asked] }),
          call,
        );
        for (const one of SecretValues) found.set(one.Name ?? '', readOf(one));
        for (const { SecretId = '', ErrorCode, Message } of Errors) {
          found.set(SecretId, awsProblem({ name: ErrorCode, message: Message ?? '' }) ?? failed(null));
        }
      }
      return found;
    },
    async list({ prefix, after, limit }, call) {
      const page = await send(
        new ListSecretsCommand({
          MaxResults: limit,
          Filters: [{ Key: 'name', Values: [prefix] }],
          ...(after === null ? {} : { NextToken: after }),
        }),
        call,
      );
      return {
        references: (page.SecretList ?? []).flatMap(({ Name }) => (Name?.startsWith(prefix) ? [Name] : [])),
        next: page.NextToken ?? null,
      };
    },
    async describe(reference, call) {
      const found = await send(new DescribeSecretCommand({ SecretId: reference }), call);
      const versions = Object.entries(found.VersionIdsToStages ?? {});
      return {
        state: found.DeletedDate ? 'deleted' : 'live',
        current: versions.find(([, stages]) => stages.includes(CURRENT))?.[0] ?? null,
        versions: versions.map(([version]) => ({ version, state: 'enabled' })),
        tags: Object.fromEntries((found.Tags ?? []).map(({ Key, Value }) => [Key ?? '', Value ?? ''])),
      };
    },
    async tag(reference, tags, call) {
      const { Tags = [] } = await send(new DescribeSecretCommand({ SecretId: reference }), call);
      const gone = Tags.flatMap(({ Key }) => (Key !== undefined && !Object.hasOwn(tags, Key) ? [Key] : []));
      const wanted = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
      if (gone.length > 0) await send(new UntagResourceCommand({ SecretId: reference, TagKeys: gone }), call);
      if (wanted.length === 0) return;
      const tagged = send(new TagResourceCommand({ SecretId: reference, Tags: wanted }), call);
      await (gone.length > 0 ? tagged.catch(halfDone) : tagged);
    },
    disable: async () => unsupported(),
    enable: async () => unsupported(),
    async delete(reference, call) {
      await send(new DeleteSecretCommand({ SecretId: reference, RecoveryWindowInDays: RECOVERY_DAYS }), call);
    },
    async recover(reference, call) {
      await send(new RestoreSecretCommand({ SecretId: reference }), call);
    },
    async destroy(reference, call) {
      await send(new DeleteSecretCommand({ SecretId: reference, ForceDeleteWithoutRecovery: true }), call).catch(
        (error: Problem) => {
          if (error.code !== 'secret_missing') throw error;
        },
      );
    },
    async check(call) {
      await send(new ListSecretsCommand({ MaxResults: 1 }), call);
    },
    async close() {
      client.destroy();
    },
  };
}

/** The SDK's own `send`, with the call in place of its options. */
type Send = <Output>(
  command: { resolveMiddleware: unknown; __out?: Output } & Command<Output>,
  call: Call,
) => Promise<Output>;
type Command<Output> = {
  resolveMiddleware: (...args: never[]) => (request: never) => Promise<{ output: Output }>;
};

const unsupported = () => {
  throw problem('provider_unsupported');
};

const given = ({ type, content }: SecretValue) =>
  type === 'text'
    ? { SecretString: content.reveal() }
    : { SecretBinary: new Uint8Array(Buffer.from(content.reveal(), 'base64')) };

type Got = { SecretString?: string | undefined; SecretBinary?: Uint8Array | undefined; VersionId?: string | undefined };

function readOf({ SecretString, SecretBinary, VersionId }: Got): Read {
  const version = versionIn(VersionId);
  if (SecretString !== undefined) return { value: textValue(SecretString), version };
  if (SecretBinary !== undefined) return { value: valueOf('binary', SecretBinary), version };
  throw failed(new Error('an answer without a value'));
}

function versionIn(version: string | undefined): string {
  if (version === undefined) throw failed(new Error('an answer without a version'));
  return version;
}
