import { describeWith, realPart } from '@postern/testing';
import { startAws } from '@postern/testing/aws';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { joinRootKeys, moveRootKey, openLocalRootKey } from '../src/index.ts';
import { openAwsKmsRootKey } from '../src/aws.ts';
import { openAwsWorld, type AwsWorld } from './aws-world.ts';
import { localRootKey, recording, serviceDatabase } from './service-database.ts';

const aws = await realPart('moto 5.2', startAws);

describeWith(aws, 'moving branch keys into and within AWS KMS', (account) => {
  const { endpoint } = account;
  let world: AwsWorld;
  let server: AwsWorld['server'];
  let postgres: AwsWorld['postgres'];
  let keyArn: AwsWorld['keyArn'];
  let secondKeyArn: AwsWorld['secondKeyArn'];
  let rootKey: AwsWorld['rootKey'];
  let credentials: AwsWorld['credentials'];
  let sealerOf: AwsWorld['sealerOf'];

  beforeAll(async () => {
    world = await openAwsWorld(account);
    ({ server, postgres, keyArn, secondKeyArn, rootKey, credentials, sealerOf } = world);
  });

  afterEach(() => world.mend());

  afterAll(() => world.close());

  test('all branch keys move to another KMS key while they are used, inside KMS: nothing is decrypted', async () => {
    const tampered = await sealerOf('owned');
    await tampered.sealer.seal(Buffer.from('x'), {});
    tampered.keys.close();
    await postgres.query("update branch_keys set tenant = 'thief' where tenant = 'owned'");
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
});
