import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { postgresForTests, testIssuer } from '@postern/testing';
import { createServiceRole, type startAws } from '@postern/testing/aws';
import { openBranchKeys, sealerFor, type BranchKeysOptions } from '../src/index.ts';
import { openAwsKmsRootKey, webIdentityCredentials } from '../src/aws.ts';
import { serviceDatabase } from './service-database.ts';

const ROLE = 'postern-crypto-store';

/** Two keys in an account, a role that may use them, a realm whose tokens it takes, and a service's database. */
export async function openAwsWorld(account: Awaited<ReturnType<typeof startAws>>) {
  const { endpoint, region, operator } = account;
  /** What the service's own token says; the realm signs it. */
  const own = { subject: 'crypto-store' };
  const issuer = await testIssuer({ kinds: ['provider-access'] });
  const server = await postgresForTests();
  const postgres = await serviceDatabase(server);
  const kms = new KMSClient({ region, endpoint, credentials: operator });
  const newKey = async () => (await kms.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? '';
  const [keyArn, secondKeyArn] = [await newKey(), await newKey()];
  const { issuer: url } = issuer.entry;
  const { subject } = own;
  await createServiceRole(account, { role: ROLE, issuer: url, subject, keyArns: [keyArn, secondKeyArn] });

  const credentials = (now?: () => Date) =>
    webIdentityCredentials({
      roleArn: `arn:aws:iam::123456789012:role/${ROLE}`,
      sessionName: 'crypto-store',
      region,
      token: () => issuer.mint({ audience: 'sts.amazonaws.com', sub: own.subject }),
      endpoint,
      ...(now ? { now } : {}),
    });
  const rootKey = openAwsKmsRootKey({ keyArn, credentials: credentials(), endpoint });
  const replica = (options: Partial<BranchKeysOptions> = {}) =>
    openBranchKeys({ query: postgres.query, rootKey, environment: 'development', service: 'crypto-store', ...options });

  return {
    role: ROLE,
    server,
    postgres,
    kms,
    keyArn,
    secondKeyArn,
    rootKey,
    own,
    credentials,
    replica,
    sealerOf: async (tenant: string, options: Partial<BranchKeysOptions> = {}) => {
      const keys = await replica(options);
      return { keys, sealer: sealerFor(keys, { tenant, purpose: 'records' }) };
    },
    /** As it was: what a test did to the account ends with it. */
    mend() {
      account.cut(false);
      account.throttle(0);
      account.restore(ROLE);
      own.subject = subject;
    },
    async close() {
      rootKey.close();
      kms.destroy();
      await postgres.close();
      await server.close();
      await issuer.close();
      await account.close();
    },
  };
}

export type AwsWorld = Awaited<ReturnType<typeof openAwsWorld>>;

export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; !(await holds()); turn += 1) {
    if (turn > 20_000) throw new Error('it does not come to hold');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
