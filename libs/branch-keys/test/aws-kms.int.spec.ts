import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { EnvelopeRefused } from '@postern/envelope';
import { postgresForTests, type TestPostgres } from '@postern/testing';
import { describeWith, realPart } from '@postern/testing';
import { startMoto } from '@postern/testing/moto';
import { type Postgres } from '@postern/postgres';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  KeysUnavailable,
  openAwsKmsRootKey,
  openBranchKeys,
  RootKeyRefused,
  sealerFor,
  webIdentityCredentials,
  type RootKey,
} from '../src/index.ts';
import { serviceDatabase } from './service-database.ts';

const moto = await realPart('moto 5.2', startMoto);

describeWith(moto, 'a root key in AWS KMS', ({ endpoint, close }) => {
  const credentials = webIdentityCredentials({
    roleArn: 'arn:aws:iam::123456789012:role/postern-crypto-store',
    sessionName: 'crypto-store',
    region: 'eu-west-1',
    token: async () => 'header.claims.signature',
    endpoint,
  });
  let server: TestPostgres;
  let postgres: Postgres<unknown>;
  let keyArn: string;
  let rootKey: RootKey;

  beforeAll(async () => {
    server = await postgresForTests();
    postgres = await serviceDatabase(server);
    const kms = new KMSClient({ region: 'eu-west-1', endpoint, credentials });
    const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
    kms.destroy();
    keyArn = KeyMetadata?.Arn ?? '';
    rootKey = openAwsKmsRootKey({ keyArn, credentials, endpoint });
  });

  afterAll(async () => {
    rootKey.close();
    await postgres.close();
    await server.close();
    await close();
  });

  const replica = (root: RootKey = rootKey) =>
    openBranchKeys({ query: postgres.query, rootKey: root, environment: 'development', service: 'crypto-store' });

  test('wraps branch keys that other replicas unwrap, over a rotation, with credentials from a web identity', async () => {
    const [one, two] = [await replica(), await replica()];
    const sealed = await sealerFor(one, { tenant: 'acme', purpose: 'records' }).seal(Buffer.from('x'), { record: 'a' });
    await one.rotate(await one.idFor('acme', 'records'));
    const reader = sealerFor(two, { tenant: 'acme', purpose: 'records' });
    expect((await reader.open(sealed, { record: 'a' })).toString()).toBe('x');
    await expect(two.check()).resolves.toBeUndefined();
    one.close();
    two.close();
  });

  test('a record whose owner was rewritten is refused by KMS itself, by the encryption context (R6)', async () => {
    const keys = await replica();
    const sealed = await sealerFor(keys, { tenant: 'owned', purpose: 'records' }).seal(Buffer.from('x'), {});
    keys.close();
    await postgres.query("update branch_keys set tenant = 'thief' where tenant = 'owned'");
    await postgres.query("update branch_key_owners set tenant = 'thief' where tenant = 'owned'");
    const thief = await replica();
    await expect(sealerFor(thief, { tenant: 'thief', purpose: 'records' }).open(sealed, {})).rejects.toThrow(
      EnvelopeRefused,
    );
    thief.close();
  });

  test('another context or altered bytes are a refusal; no answer is unavailability', async () => {
    const context = { type: 'x' };
    const wrapped = await rootKey.generate(context);
    expect(await rootKey.unwrap(wrapped, { arn: keyArn, context })).toHaveLength(32);
    await expect(rootKey.unwrap(wrapped, { arn: keyArn, context: { type: 'y' } })).rejects.toThrow(RootKeyRefused);
    const altered = Uint8Array.from(wrapped);
    altered[altered.length - 1]! ^= 1;
    await expect(rootKey.unwrap(altered, { arn: keyArn, context })).rejects.toThrow(RootKeyRefused);
    const away = openAwsKmsRootKey({ keyArn, credentials, endpoint: 'http://127.0.0.1:1' });
    await expect(away.generate(context)).rejects.toThrow(KeysUnavailable);
    away.close();
  });

  test('the root key is named by the ARN of a key, never by an alias', () => {
    for (const arn of ['alias/postern', 'arn:aws:kms:eu-west-1:123456789012:alias/postern', '']) {
      expect(() => openAwsKmsRootKey({ keyArn: arn, credentials })).toThrow(TypeError);
    }
  });
});
