import { branchKeyMigrations, openBranchKeys, sealerFor, type RootKey } from '@postern/branch-keys';
import { openAwsKmsRootKey, webIdentityCredentials } from '@postern/branch-keys/aws';
import { run } from '@postern/cli';
import { migrate, openPostgres, type Query } from '@postern/postgres';
import { postgresForTests, testIssuer } from '@postern/testing';
import { startAws, type Aws } from '@postern/testing/aws';
import { type Case, type Scale } from '../assess.ts';
import { seeded } from '../random.ts';

const TENANTS = 10;
const MOST_CALLS = 30;
const OPERATIONS: Record<Scale, number> = { small: 1_000, default: 20_000, full: 100_000 };

/**
 * Seals and opens over ten tenants, in an account that `postern aws bootstrap` set up, with credentials from a verified web
 * identity. The keys exist before, as in a service that has served already.
 */
export const kmsCalls: Case = {
  name: 'branch-keys/kms-calls',
  guarantee: `seals and opens over ${TENANTS} tenants make at most ${MOST_CALLS} calls to KMS, however many they are`,
  async run({ scale, seed, say }) {
    const aws = await startAws();
    const issuer = await testIssuer({ kinds: ['provider-access'] });
    const server = await postgresForTests();
    const database = await server.createDatabase({ service: 'crypto-store' });
    const { tls, serviceRole } = database;
    await migrate({ url: database.ownerUrl, tls, sets: [branchKeyMigrations], serviceRole });
    const postgres = await openPostgres({ url: database.url, tls, applicationName: 'kms-calls' });
    try {
      const { keyArn, roleArn } = await setUp(aws, issuer.entry.issuer);
      const credentials = webIdentityCredentials({
        roleArn,
        sessionName: 'crypto-store',
        region: aws.region,
        token: () => issuer.mint({ audience: 'aws', sub: 'store-1' }),
        endpoint: aws.endpoint,
      });
      const rootKey = openAwsKmsRootKey({ keyArn, credentials, endpoint: aws.endpoint });
      const wrong = await sealAndOpen(postgres.query, rootKey, aws, { operations: OPERATIONS[scale], seed });
      rootKey.close();
      const calls = Object.entries(aws.calls()).filter(([name]) => name !== 'AssumeRoleWithWebIdentity');
      const count = calls.reduce((sum, [, times]) => sum + times, 0);
      say(
        `${OPERATIONS[scale]} seals and opens, ${count} calls to KMS: ${calls.map((one) => one.join(' ')).join(', ')}`,
      );
      const failed = [...wrong, ...(count > MOST_CALLS ? [`${count} calls to KMS`] : [])];
      return { tried: OPERATIONS[scale], failed, lost: [] };
    } finally {
      await postgres.close();
      await database.drop();
      await server.close();
      await issuer.close();
      await aws.close();
    }
  },
};

async function sealAndOpen(
  query: Query,
  rootKey: RootKey,
  aws: Aws,
  { operations, seed }: { operations: number; seed: number },
): Promise<string[]> {
  const open = () => openBranchKeys({ query, rootKey, environment: 'development', service: 'crypto-store' });
  const maker = await open();
  const tenants = Array.from({ length: TENANTS }, (_, n) => `tenant-${n}`);
  for (const tenant of tenants) await maker.idFor(tenant, 'records');
  maker.close();
  aws.forgetCalls();
  const keys = await open();
  const random = seeded(seed);
  const wrong: string[] = [];
  // Each turn is one seal and one open.
  for (let turn = 0; turn < operations / 2; turn += 1) {
    const sealer = sealerFor(keys, { tenant: random.pick(tenants) ?? '', purpose: 'records' });
    const text = `value ${turn}`;
    const message = await sealer.seal(Buffer.from(text), { turn: `${turn}` });
    if ((await sealer.open(message, { turn: `${turn}` })).toString() !== text)
      wrong.push(`turn ${turn} opened another value`);
    await sealer.mac('address', Buffer.from(text));
  }
  keys.close();
  return wrong;
}

async function setUp(aws: Aws, issuer: string): Promise<{ keyArn: string; roleArn: string }> {
  const kept = { ...process.env };
  process.env['AWS_ACCESS_KEY_ID'] = aws.operator.accessKeyId;
  process.env['AWS_SECRET_ACCESS_KEY'] = aws.operator.secretAccessKey;
  const out: string[] = [];
  const line = ['--region', aws.region, '--endpoint', aws.endpoint, '--environment', 'development', '--json'];
  const who = ['--issuer', issuer, '--audience', 'aws', '--workload', 'crypto-store=store-1'];
  try {
    const code = await run(['aws', 'bootstrap', ...line, ...who], {
      out: (text) => void out.push(text),
      err: (text) => void out.push(text),
      input: async () => '',
      folder: '.',
      interactive: false,
      environment: {},
    });
    if (code !== 0) throw new Error(`postern aws bootstrap ended with ${code}: ${out.join(' ')}`);
  } finally {
    process.env = kept;
  }
  const { settings } = JSON.parse(out.join('')) as { settings: { keyArn: string; roleArn: string }[] };
  const [found] = settings;
  if (found === undefined) throw new Error('postern aws bootstrap named no settings');
  return found;
}
