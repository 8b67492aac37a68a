import { DisableKeyCommand, CreateKeyCommand, EnableKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { EnvelopeRefused } from '@postern/envelope';
import { type Postgres } from '@postern/postgres';
import {
  describeWith,
  postgresForTests,
  realPart,
  testIssuer,
  type TestIssuer,
  type TestPostgres,
} from '@postern/testing';
import { createServiceRole, startAws } from '@postern/testing/aws';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import {
  awaitRootKey,
  KeysUnavailable,
  moveRootKey,
  openBranchKeys,
  openLocalRootKey,
  joinRootKeys,
  RootKeyRefused,
  sealerFor,
  type BranchKeysOptions,
  type RootKey,
} from '../src/index.ts';
import { openAwsKmsRootKey, webIdentityCredentials } from '../src/aws.ts';
import { localRootKey, recording, serviceDatabase } from './service-database.ts';

const aws = await realPart('moto 5.2', startAws);
const ROLE = 'postern-crypto-store';

describeWith(aws, 'a root key in AWS KMS', (account) => {
  const { endpoint, region, operator } = account;
  let issuer: TestIssuer;
  let server: TestPostgres;
  let postgres: Postgres<unknown>;
  let keyArn: string;
  let rootKey: RootKey;
  let kms: KMSClient;
  /** What the service's own token says; the realm signs it. */
  let subject = 'crypto-store';

  const credentials = (now?: () => Date) =>
    webIdentityCredentials({
      roleArn: `arn:aws:iam::123456789012:role/${ROLE}`,
      sessionName: 'crypto-store',
      region,
      token: () => issuer.mint({ audience: 'sts.amazonaws.com', sub: subject }),
      endpoint,
      ...(now ? { now } : {}),
    });
  // The emulator looks these up by the id alone.
  const keyId = () => keyArn.split('/').at(-1);
  const newKey = async () => (await kms.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? '';

  let secondKeyArn: string;
  beforeAll(async () => {
    issuer = await testIssuer({ kinds: ['provider-access'] });
    server = await postgresForTests();
    postgres = await serviceDatabase(server);
    kms = new KMSClient({ region, endpoint, credentials: operator });
    [keyArn, secondKeyArn] = [await newKey(), await newKey()];
    const { issuer: url } = issuer.entry;
    await createServiceRole(account, { role: ROLE, issuer: url, subject, keyArns: [keyArn, secondKeyArn] });
    rootKey = openAwsKmsRootKey({ keyArn, credentials: credentials(), endpoint });
  });

  afterEach(() => {
    account.cut(false);
    account.throttle(0);
    account.restore(ROLE);
    subject = 'crypto-store';
  });

  afterAll(async () => {
    rootKey.close();
    kms.destroy();
    await postgres.close();
    await server.close();
    await issuer.close();
    await account.close();
  });

  const replica = (options: Partial<BranchKeysOptions> = {}) =>
    openBranchKeys({ query: postgres.query, rootKey, environment: 'development', service: 'crypto-store', ...options });
  const sealerOf = async (tenant: string, options: Partial<BranchKeysOptions> = {}) => {
    const keys = await replica(options);
    return { keys, sealer: sealerFor(keys, { tenant, purpose: 'records' }) };
  };

  test('wraps branch keys that other replicas unwrap, over a rotation, with credentials from a verified web identity', async () => {
    const [one, two] = [await sealerOf('acme'), await sealerOf('acme')];
    const sealed = await one.sealer.seal(Buffer.from('x'), { record: 'a' });
    await one.keys.rotate(await one.keys.idFor('acme', 'records'));
    expect((await two.sealer.open(sealed, { record: 'a' })).toString()).toBe('x');
    await expect(two.keys.check()).resolves.toBeUndefined();
    one.keys.close();
    two.keys.close();
  });

  test('a record whose owner was rewritten is refused by KMS itself, by the encryption context (R6)', async () => {
    const { keys, sealer } = await sealerOf('owned');
    const sealed = await sealer.seal(Buffer.from('x'), {});
    keys.close();
    await postgres.query("update branch_keys set tenant = 'thief' where tenant = 'owned'");
    await postgres.query("update branch_key_owners set tenant = 'thief' where tenant = 'owned'");
    const thief = await sealerOf('thief');
    await expect(thief.sealer.open(sealed, {})).rejects.toThrow(EnvelopeRefused);
    thief.keys.close();
  });

  test('another context, altered bytes or another key are a refusal; no answer is unavailability', async () => {
    const context = { type: 'x' };
    const wrapped = await rootKey.generate(context);
    expect(await rootKey.unwrap(wrapped, { arn: keyArn, context })).toHaveLength(32);
    await expect(rootKey.unwrap(wrapped, { arn: keyArn, context: { type: 'y' } })).rejects.toThrow(RootKeyRefused);
    await expect(rootKey.unwrap(wrapped, { arn: secondKeyArn, context })).rejects.toThrow(RootKeyRefused);
    const elsewhere = { arn: secondKeyArn, context };
    await expect(rootKey.rewrap(wrapped, elsewhere, elsewhere)).rejects.toThrow(RootKeyRefused);
    const altered = Uint8Array.from(wrapped);
    altered[altered.length - 1]! ^= 1;
    await expect(rootKey.unwrap(altered, { arn: keyArn, context })).rejects.toThrow(RootKeyRefused);
    account.cut(true);
    await expect(rootKey.generate(context)).rejects.toThrow(KeysUnavailable);
  });

  test('the root key is named by the ARN of a key, never by an alias', () => {
    for (const arn of ['alias/postern', 'arn:aws:kms:eu-west-1:123456789012:alias/postern', '']) {
      expect(() => openAwsKmsRootKey({ keyArn: arn, credentials: credentials() })).toThrow(TypeError);
    }
  });

  test.each([
    [
      'the key is disabled',
      () => kms.send(new DisableKeyCommand({ KeyId: keyId() })),
      () => kms.send(new EnableKeyCommand({ KeyId: keyId() })),
    ],
    ['the role is revoked', async () => account.revoke(ROLE), async () => account.restore(ROLE)],
    ['KMS throttles', async () => account.throttle(1_000), async () => account.throttle(0)],
    ['KMS is cut off', async () => account.cut(true), async () => account.cut(false)],
  ])(
    'while %s, branch keys in memory serve until their time, then nothing is sealed or opened; afterwards it goes on',
    async (_, harm, heal) => {
      let time = Date.now();
      const now = () => new Date(time);
      const { keys, sealer } = await sealerOf('outage', { now, cacheTtlMs: 60_000 });
      const sealed = await sealer.seal(Buffer.from('x'), {});
      await harm();
      expect((await sealer.open(sealed, {})).toString()).toBe('x');
      time += 11_000;
      await expect(keys.check()).rejects.toThrow(KeysUnavailable);
      time += 60_000;
      await expect(sealer.open(sealed, {})).rejects.toThrow(KeysUnavailable);
      await expect(sealer.seal(Buffer.from('x'), {})).rejects.toThrow(KeysUnavailable);
      await heal();
      time += 11_000;
      expect((await sealer.open(sealed, {})).toString()).toBe('x');
      await expect(keys.check()).resolves.toBeUndefined();
      keys.close();
    },
  );

  test('while the root key does not answer, callers get their refusal at once and KMS is left alone', async () => {
    const time = Date.now();
    const { keys, sealer } = await sealerOf('resting', { now: () => new Date(time) });
    await sealer.seal(Buffer.from('x'), {});
    keys.close();
    const cold = await sealerOf('resting', { now: () => new Date(time) });
    account.throttle(1_000);
    await expect(cold.sealer.seal(Buffer.from('x'), {})).rejects.toThrow(KeysUnavailable);
    account.forgetCalls();
    await expect(cold.sealer.seal(Buffer.from('x'), {})).rejects.toThrow(KeysUnavailable);
    expect(account.calls()).toEqual({});
    cold.keys.close();
  });

  test('a token of another subject takes no role: nothing is sealed', async () => {
    subject = 'key-proxy';
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
    subject = 'key-proxy';
    expect(await get()).toBe(first);
    await until(() => account.calls()['AssumeRoleWithWebIdentity'] === 2);
    subject = 'crypto-store';
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

  test('all branch keys move to another KMS key while they are used, inside KMS: nothing is decrypted', async () => {
    const { keys, sealer } = await sealerOf('moving');
    const sealed = await sealer.seal(Buffer.from('x'), {});
    const second = openAwsKmsRootKey({ keyArn: secondKeyArn, credentials: credentials(), endpoint });
    account.forgetCalls();
    const { query, transaction, recorded } = recording(postgres);
    const whileUsed: typeof transaction = async (work) => {
      const done = await transaction(work);
      expect((await sealer.open(sealed, {})).toString()).toBe('x');
      return done;
    };
    const { moved, left } = await moveRootKey({ query, transaction: whileUsed, rootKey: second });
    // The one row that was tampered with stays where it is, and holds up no other.
    expect({ recorded: recorded.length, left }).toEqual({ recorded: moved, left: 1 });
    expect(recorded).toContainEqual(
      expect.objectContaining({
        tenant: 'moving',
        details: expect.objectContaining({ from: keyArn, to: secondKeyArn }),
      }),
    );
    expect(account.calls()).not.toMatchObject({ Decrypt: expect.anything() });
    const after = await sealerOf('moving', { rootKey: second });
    expect((await after.sealer.open(sealed, {})).toString()).toBe('x');
    keys.close();
    after.keys.close();
    second.close();
  });

  test('branch keys move from a local key file into KMS', async () => {
    const other = await serviceDatabase(server);
    const { path, rootKey: local } = await localRootKey();
    const { query } = other;
    const before = await sealerOf('imported', { query, rootKey: local });
    const sealed = await before.sealer.seal(Buffer.from('x'), {});
    before.keys.close();
    const joined = joinRootKeys(rootKey, [await openLocalRootKey({ path })]);
    expect(await moveRootKey({ ...recording(other), rootKey: joined })).toEqual({ moved: 1, left: 0 });
    const after = await sealerOf('imported', { query, rootKey });
    expect((await after.sealer.open(sealed, {})).toString()).toBe('x');
    after.keys.close();
    await other.close();
  });

  test('many seals and opens over ten tenants are at most thirty calls to KMS', async () => {
    const tenants = Array.from({ length: 10 }, (_, n) => `counted-${n}`);
    const maker = await replica();
    for (const tenant of tenants) await maker.idFor(tenant, 'records');
    maker.close();
    account.forgetCalls();
    const keys = await replica();
    for (let n = 0; n < 1_000; n += 1) {
      const sealer = sealerFor(keys, { tenant: tenants[n % 10] ?? '', purpose: 'records' });
      const message = await sealer.seal(Buffer.from(`${n}`), { n: `${n}` });
      await sealer.open(message, { n: `${n}` });
      await sealer.mac('address', Buffer.from(`${n}`));
    }
    const calls = Object.values(account.calls()).reduce((sum, count) => sum + count, 0);
    expect(calls).toBeLessThanOrEqual(30);
    expect(calls).toBeGreaterThan(0);
    keys.close();
  });
});

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; !(await holds()); turn += 1) {
    if (turn > 20_000) throw new Error('it does not come to hold');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
