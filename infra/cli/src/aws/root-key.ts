import {
  CreateAliasCommand,
  CreateKeyCommand,
  DescribeKeyCommand,
  EnableKeyRotationCommand,
  GetKeyRotationStatusCommand,
  ListResourceTagsCommand,
  paginateListKeys,
} from '@aws-sdk/client-kms';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { keep, orNull, type Clients, type Step } from './step.ts';
import { aliasOf, type Wanted } from './wanted.ts';

const TAG = 'postern:alias';
const WHAT = 'KMS key';

export type RootKey = { arn: string | null; step: Step };

/**
 * The symmetric key behind the deployment's alias, with yearly rotation of its material. A key that was made for the
 * alias before the alias was, by a run that was cut, is found by its tag and taken.
 * @throws CommandFailed where the alias is there and its key cannot be used.
 */
export async function rootKey(clients: Clients, wanted: Wanted): Promise<RootKey> {
  const { kms } = clients;
  const alias = aliasOf(wanted);
  const known = (await orNull(kms.send(new DescribeKeyCommand({ KeyId: alias }))))?.KeyMetadata;
  if (known !== undefined && known.KeyState !== 'Enabled') {
    throw new CommandFailed(exitCodes.refused, `${alias}: its key ${known.KeyId} is ${known.KeyState}`);
  }
  const key: RootKey = { arn: known?.Arn ?? (await madeBefore(clients, alias)), step: keep(WHAT, alias) };
  const rotates = async (arn: string) =>
    (await kms.send(new GetKeyRotationStatusCommand({ KeyId: arn }))).KeyRotationEnabled === true;
  const rotate = async (arn: string) => void (await kms.send(new EnableKeyRotationCommand({ KeyId: arn })));

  if (known === undefined) {
    const detail = `${alias}, symmetric, material rotated yearly${key.arn === null ? '' : `, over ${key.arn}`}`;
    key.step = {
      what: WHAT,
      change: 'create',
      detail,
      async apply() {
        key.arn ??= await create(clients, alias);
        await rotate(key.arn);
        await kms.send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: key.arn }));
      },
    };
  } else if (key.arn !== null && !(await rotates(key.arn))) {
    const { arn } = key;
    key.step = {
      what: WHAT,
      change: 'change',
      detail: `${alias}: rotate its material yearly`,
      apply: () => rotate(arn),
    };
  }
  return key;
}

async function create({ kms }: Clients, alias: string): Promise<string> {
  const { KeyMetadata } = await kms.send(
    new CreateKeyCommand({
      Description: `Wraps the branch keys of Postern (${alias})`,
      Tags: [{ TagKey: TAG, TagValue: alias }],
    }),
  );
  return KeyMetadata?.Arn ?? '';
}

async function madeBefore({ kms }: Clients, alias: string): Promise<string | null> {
  for await (const { Keys = [] } of paginateListKeys({ client: kms }, {})) {
    for (const { KeyId, KeyArn } of Keys) {
      // Keys of others may not be ours to look at.
      const tags = await kms.send(new ListResourceTagsCommand({ KeyId })).catch(() => null);
      if (!tags?.Tags?.some(({ TagKey, TagValue }) => TagKey === TAG && TagValue === alias)) continue;
      const state = await kms.send(new DescribeKeyCommand({ KeyId }));
      if (state.KeyMetadata?.KeyState === 'Enabled') return KeyArn ?? null;
    }
  }
  return null;
}
