import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Agent } from 'undici';
import { KeysUnavailable, realmToken, RootKeyRefused } from '../src/index.ts';
import { openAwsKmsRootKey, webIdentityCredentials } from '../src/aws.ts';

const REGION = 'eu-central-1';
const KEY_ARN = `arn:aws:kms:${REGION}:123456789012:key/11111111-2222-3333-4444-555555555555`;
const held = { accessKeyId: 'a', secretAccessKey: 's', sessionToken: 't' };
const ASSUMED = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>given</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
  <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
  </AssumeRoleWithWebIdentityResponse>`;

/** KMS and STS in one, that take the first request of each and never answer it. */
const asked: string[] = [];
const server = createServer((request, response) => {
  if (request.url === '/token') return endless(response);
  const kind = request.headers['x-amz-target'] === undefined ? 'sts' : 'kms';
  asked.push(kind);
  if (asked.filter((one) => one === kind).length === 1) return;
  if (kind === 'kms') response.writeHead(400).end(JSON.stringify({ __type: 'InvalidCiphertextException' }));
  else response.writeHead(200, { 'content-type': 'text/xml' }).end(ASSUMED);
});
/** What a realm sends that does not end, for as long as somebody reads it. */
let sent = 0;
const broken = Promise.withResolvers<void>();
function endless(response: ServerResponse): void {
  response.on('close', broken.resolve);
  response.writeHead(200);
  const send = () => {
    while (!response.destroyed && response.write('{'.repeat(16_384))) sent += 16_384;
  };
  response.on('drain', send);
  send();
}
let endpoint: string;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test('a request that KMS or STS takes and never answers is broken off and made again', async () => {
  const rootKey = openAwsKmsRootKey({ keyArn: KEY_ARN, credentials: held, endpoint });
  const roleArn = 'arn:aws:iam::123456789012:role/postern';
  const assume = webIdentityCredentials({
    roleArn,
    sessionName: 'crypto-store',
    region: REGION,
    token: async () => 'token',
    endpoint,
  });
  const opened = rootKey.unwrap(Buffer.alloc(32), { arn: KEY_ARN, context: {} });
  const [refused, assumed] = await Promise.allSettled([opened, assume()]);
  expect(refused).toMatchObject({ status: 'rejected', reason: expect.any(RootKeyRefused) });
  expect(assumed).toMatchObject({ status: 'fulfilled', value: { accessKeyId: 'given' } });
  for (const kind of ['kms', 'sts']) expect(asked.filter((one) => one === kind).length).toBeGreaterThan(1);
  rootKey.close();
});

test('an answer of the realm that does not end is broken off when it is longer than a token', async () => {
  const agent = new Agent();
  const token = realmToken(agent, { tokenUrl: `${endpoint}/token`, clientId: 'crypto-store' });
  await expect(token).rejects.toThrow(KeysUnavailable);
  await broken.promise;
  // What it did not read is what the buffers of both ends hold.
  expect(sent).toBeLessThan(32 * 1024 * 1024);
  await agent.close();
});
