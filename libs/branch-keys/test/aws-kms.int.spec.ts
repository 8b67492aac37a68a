import { DisableKeyCommand, EnableKeyCommand } from '@aws-sdk/client-kms';
import { EnvelopeRefused } from '@postern/envelope';
import { describeWith, realPart } from '@postern/testing';
import { startAws } from '@postern/testing/aws';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { KeysUnavailable, RootKeyRefused, sealerFor } from '../src/index.ts';
import { openAwsKmsRootKey } from '../src/aws.ts';
import { openAwsWorld, type AwsWorld } from './aws-world.ts';

const aws = await realPart('moto 5.2', startAws);

describeWith(aws, 'a root key in AWS KMS', (account) => {
  let world: AwsWorld;
  let role: AwsWorld['role'];
  let postgres: AwsWorld['postgres'];
  let kms: AwsWorld['kms'];
  let keyArn: AwsWorld['keyArn'];
  let secondKeyArn: AwsWorld['secondKeyArn'];
  let rootKey: AwsWorld['rootKey'];
  let credentials: AwsWorld['credentials'];
  let replica: AwsWorld['replica'];
  let sealerOf: AwsWorld['sealerOf'];

  beforeAll(async () => {
    world = await openAwsWorld(account);
    ({ role, postgres, kms, keyArn, secondKeyArn, rootKey, credentials, replica, sealerOf } = world);
  });

  afterEach(() => world.mend());

  afterAll(() => world.close());

  // The emulator looks these up by the id alone.
  const keyId = () => keyArn.split('/').at(-1);

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
    ['the role is revoked', async () => account.revoke(role), async () => account.restore(role)],
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
