import { DecryptCommand, GenerateDataKeyWithoutPlaintextCommand, KMSClient } from '@aws-sdk/client-kms';
import { ListRolesCommand, IAMClient, UpdateAssumeRolePolicyCommand } from '@aws-sdk/client-iam';
import { AssumeRoleWithWebIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { describeWith, realPart, testIssuer, type TestIssuer } from '@postern/testing';
import { startAws } from '@postern/testing/aws';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { run } from '../src/run.ts';

const aws = await realPart('moto 5.2', startAws);

describeWith(aws, 'postern aws bootstrap', (account) => {
  const { endpoint, region, operator } = account;
  let issuer: TestIssuer;
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = process.env;
  const before = { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY };

  beforeAll(async () => {
    issuer = await testIssuer({ kinds: ['provider-access'] });
    // As an operator has them: the SDK's own names, which are no settings of Postern.
    process.env['AWS_ACCESS_KEY_ID'] = operator.accessKeyId;
    process.env['AWS_SECRET_ACCESS_KEY'] = operator.secretAccessKey;
  });

  afterAll(async () => {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    await issuer.close();
    await account.close();
  });

  const bootstrap = async (...more: string[]) => {
    const out: string[] = [];
    const err: string[] = [];
    const terminal = {
      out: (line: string) => void out.push(line),
      err: (line: string) => void err.push(line),
      input: async () => '',
      folder: '.',
      interactive: false,
      environment: {},
    };
    const where = ['--region', region, '--endpoint', endpoint, '--environment', 'development', '--issuer'];
    const who = ['--audience', 'aws', '--workload', 'crypto-store=store-1', '--workload', 'key-proxy=proxy-1'];
    const code = await run(['aws', 'bootstrap', ...where, issuer.entry.issuer, ...who, ...more], terminal);
    return { code, out: out.join('\n'), err: err.join('\n') };
  };
  const roleArn = (service: string) => `arn:aws:iam::123456789012:role/postern-development-${service}`;
  const assume = async (service: string, token: string) => {
    const sts = new STSClient({ region, endpoint });
    const asked = { RoleArn: roleArn(service), RoleSessionName: service, WebIdentityToken: token };
    try {
      const { Credentials } = await sts.send(new AssumeRoleWithWebIdentityCommand(asked));
      const { AccessKeyId = '', SecretAccessKey = '', SessionToken = '' } = Credentials ?? {};
      return { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
    } finally {
      sts.destroy();
    }
  };
  const token = (options: Partial<Parameters<TestIssuer['mint']>[0]> = {}) =>
    issuer.mint({ audience: 'aws', sub: 'store-1', ...options });

  test('--plan shows everything that is missing and makes nothing', async () => {
    const { code, out } = await bootstrap('--plan');
    expect(code).toBe(3);
    expect(out.split('\n').map((line) => line.split(/\s+/, 2).join(' '))).toEqual([
      'create OIDC',
      'create KMS',
      'create role',
      'create policy',
      'create role',
      'create policy',
    ]);
    expect(account.calls()).not.toMatchObject({ CreateKey: expect.anything() });
    const iam = new IAMClient({ region, endpoint, credentials: operator });
    expect((await iam.send(new ListRolesCommand({}))).Roles).toEqual([]);
    iam.destroy();
  });

  test('makes it once: a second run finds nothing to do, and a role that was changed by hand is mended', async () => {
    const first = await bootstrap();
    expect(first).toMatchObject({ code: 0, err: '' });
    expect(first.out).toContain(`POSTERN_AWS_ROLE_ARN=${roleArn('crypto-store')}`);
    account.forgetCalls();
    const { code, out } = await bootstrap('--json');
    expect(code).toBe(0);
    const told = JSON.parse(out) as { steps: { change: string }[]; settings: { keyArn: string }[] };
    expect(told.steps.map(({ change }) => change)).toEqual(Array.from({ length: 6 }, () => 'keep'));
    expect(Object.keys(account.calls()).filter((name) => /^(Create|Put|Update|Add|Enable)/.test(name))).toEqual([]);

    const iam = new IAMClient({ region, endpoint, credentials: operator });
    const anyone = { Effect: 'Allow', Principal: { AWS: '*' }, Action: 'sts:AssumeRole' };
    const open = JSON.stringify({ Version: '2012-10-17', Statement: [anyone] });
    await iam.send(
      new UpdateAssumeRolePolicyCommand({ RoleName: 'postern-development-crypto-store', PolicyDocument: open }),
    );
    iam.destroy();
    expect((await bootstrap('--plan')).out).toMatch(/^change {2}role/m);
    expect((await bootstrap()).code).toBe(0);
    expect((await bootstrap('--plan')).code).toBe(0);
  });

  test('only the own token of a service takes its role: signature, issuer, audience, subject and expiry are held', async () => {
    await bootstrap();
    await expect(assume('crypto-store', await token())).resolves.toBeDefined();
    const refused = async (held: string, name: string) =>
      expect(assume('crypto-store', held)).rejects.toMatchObject({ name });
    await refused(await token({ audience: 'other' }), 'InvalidIdentityTokenException');
    await refused(await token({ sub: 'proxy-1' }), 'AccessDenied');
    await refused(await token({ lifetimeSeconds: -60 }), 'ExpiredTokenException');
    const [header, , signature] = (await token()).split('.');
    const [, forged] = (await token({ sub: 'store-1', lifetimeSeconds: 3600 })).split('.');
    await refused([header, forged, signature].join('.'), 'InvalidIdentityTokenException');
    const stranger = await testIssuer({ kinds: ['provider-access'] });
    await refused(await stranger.mint({ audience: 'aws', sub: 'store-1' }), 'InvalidIdentityTokenException');
    await stranger.close();
    await refused('header.claims.signature', 'InvalidIdentityTokenException');
  });

  test('a role reaches the branch keys of its own service and environment, and no other use of the key', async () => {
    const { settings } = JSON.parse((await bootstrap('--json')).out) as { settings: { keyArn: string }[] };
    const KeyId = settings[0]?.keyArn ?? '';
    const kms = new KMSClient({ region, endpoint, credentials: await assume('crypto-store', await token()) });
    const context = (service: string, environment = 'development') => ({
      'aws-crypto-ec:service': service,
      'aws-crypto-ec:environment': environment,
    });
    const generate = (EncryptionContext: Record<string, string>) =>
      kms.send(new GenerateDataKeyWithoutPlaintextCommand({ KeyId, NumberOfBytes: 32, EncryptionContext }));
    const { CiphertextBlob } = await generate(context('crypto-store'));
    const EncryptionContext = context('crypto-store');
    await expect(kms.send(new DecryptCommand({ KeyId, CiphertextBlob, EncryptionContext }))).resolves.toBeDefined();
    for (const other of [context('key-proxy'), context('crypto-store', 'production'), {}]) {
      await expect(generate(other)).rejects.toMatchObject({ name: 'AccessDeniedException' });
    }
    kms.destroy();
  });

  test('mistakes on the command line are named before anything is asked of AWS', async () => {
    account.forgetCalls();
    const terminalless = await bootstrap('--workload', 'no subject');
    expect(terminalless).toMatchObject({ code: 64, err: '--workload is SERVICE=SUBJECT' });
    expect((await bootstrap('--environment', 'production')).err).toContain('--endpoint is for');
    expect(account.calls()).toEqual({});
  });
});
