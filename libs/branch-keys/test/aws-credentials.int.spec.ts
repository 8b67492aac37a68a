import { describeWith, realPart } from '@postern/testing';
import { startAws } from '@postern/testing/aws';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { awaitRootKey, KeysUnavailable } from '../src/index.ts';
import { openAwsKmsRootKey } from '../src/aws.ts';
import { openAwsWorld, until, type AwsWorld } from './aws-world.ts';

const aws = await realPart('moto 5.2', startAws);

describeWith(aws, 'credentials for AWS', (account) => {
  const { endpoint } = account;
  let world: AwsWorld;
  let keyArn: AwsWorld['keyArn'];
  let rootKey: AwsWorld['rootKey'];
  let own: AwsWorld['own'];
  let credentials: AwsWorld['credentials'];

  beforeAll(async () => {
    world = await openAwsWorld(account);
    ({ keyArn, rootKey, own, credentials } = world);
  });

  afterEach(() => world.mend());

  afterAll(() => world.close());

  test('a token of another subject takes no role: nothing is sealed', async () => {
    own.subject = 'key-proxy';
    const stranger = openAwsKmsRootKey({ keyArn, credentials: credentials(), endpoint });
    await expect(stranger.generate({})).rejects.toThrow(KeysUnavailable);
    stranger.close();
  });

  test('credentials are renewed before they expire; while STS refuses, what is held serves to its end', async () => {
    let time = Date.now();
    account.sessionsLast(900);
    account.forgetCalls();
    const get = credentials(() => new Date(time));
    const first = await get();
    await Promise.all([get(), get()]);
    expect(account.calls()).toEqual({ AssumeRoleWithWebIdentity: 1 });

    time += 650_000;
    own.subject = 'key-proxy';
    expect(await get()).toBe(first);
    await until(() => account.calls()['AssumeRoleWithWebIdentity'] === 2);
    own.subject = 'crypto-store';
    await until(async () => {
      time += 6_000;
      return (await get()).accessKeyId !== first.accessKeyId;
    });
    expect(account.calls()).toEqual({ AssumeRoleWithWebIdentity: 3 });
  });

  test('a start while AWS is away waits, says so, and goes on once it answers', async () => {
    const lines: string[] = [];
    const logger = {
      warn: (_: unknown, line: string) => void lines.push(line),
      info: (line: string) => void lines.push(line),
    } as unknown as Parameters<typeof awaitRootKey>[1];
    account.cut(true);
    const started = awaitRootKey(rootKey, logger);
    await until(() => lines.length > 0);
    expect(lines[0]).toMatch(/^the root key cannot be used \(\w+\); the start waits for it$/);
    account.cut(false);
    await started;
    expect(lines.at(-1)).toBe('the root key answers; the start goes on');
  });
});
