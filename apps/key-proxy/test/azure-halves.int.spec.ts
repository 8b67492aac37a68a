import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { developmentCa } from '@postern/testing';
import { type Azure } from '@postern/testing/azure';
import { type FrontRequest } from '@postern/testing/https-front';
import { type SecretProvider } from '../src/providers/secret-provider.ts';
import { textValue } from '../src/secrets/secret-value.ts';
import { type Caller } from './caller.ts';
import { openSubject, type ConfiguredSubject } from './contract/subjects.ts';
import { openWorld, type World } from './world.ts';

let subject: ConfiguredSubject;
let azure: Azure;
let provider: SecretProvider;
let world: World;
let job: Caller;
let token: string;
beforeAll(async () => {
  subject = await openSubject('azure');
  ({ provider } = subject);
  azure = subject.front as Azure;
  const { paths } = await developmentCa().issue('front');
  world = await openWorld({
    endpoints: subject.endpoints,
    env: {
      POSTERN_PROVIDER_HOSTS: `127.0.0.1:${azure.port}`,
      POSTERN_PROVIDER_CA_PATH: paths.ca,
      POSTERN_PROVIDER_TIMEOUT_SECONDS: '3',
    },
  });
  job = await world.caller('job');
  const scopes = ['read', 'write', 'delete', 'configure'].map((verb) => `secrets:${verb}`);
  const tenant = `kp_${randomUUID().replaceAll('-', '')}`;
  token = await world.token(job.thumbprint, scopes, { tenant, roles: ['admin'], lifetimeSeconds: 3_600 });
  const { settings, secrets } = subject.configuration;
  const credentials = { ...settings, client_secret: secrets['client_secret']?.reveal() };
  expect(await send('PUT', '/v1/providers/vault', { kind: 'azure', credentials })).toMatchObject({ status: 200 });
}, 180_000);
afterAll(async () => {
  await world?.close();
  await subject?.close();
});
afterEach(() => {
  azure.fault(null);
  azure.vault.slow(false);
});

const call = (ms = 20_000) => ({ by: null, signal: AbortSignal.timeout(ms) });
const write = () => ({ attempt: randomUUID(), tags: {} });
const newReference = () => `s-${randomUUID()}`;
const fails = (code: string, more: object = {}) => expect.objectContaining({ code, ...more });
const underWay = fails('deletion_under_way', { retryAfterSeconds: 5 });
const valueAt = async (reference: string) => (await provider.read(reference, null, call())).value.content.reveal();
const busy = { answer: { status: 429, headers: { 'retry-after': '1' }, body: '{}' } };
const isLook = ({ method, url }: FrontRequest) => method === 'GET' && url.pathname.startsWith('/deletedsecrets/');
const isPurge = ({ method, url }: FrontRequest) => method === 'DELETE' && url.pathname.startsWith('/deletedsecrets/');

function send(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: object) {
  return job.send(method, `${world.url}${path}`, { token, ...(body && { body }) });
}
const timesOut = (work: (signal: { by: null; signal: AbortSignal }) => Promise<unknown>) =>
  expect(work(call(1_000))).rejects.toEqual(fails('provider_unreachable'));

test('a deletion that has not ended: nothing is written, recovered or destroyed meanwhile, each is told to come again, and then goes on', async () => {
  const reference = newReference();
  await provider.create(reference, textValue('one'), write(), call());
  azure.vault.slow(true);
  await timesOut((soon) => provider.delete(reference, soon));
  await expect(provider.create(reference, textValue('two'), write(), call())).rejects.toEqual(underWay);
  await expect(provider.recover(reference, call())).rejects.toEqual(underWay);
  await expect(provider.destroy(reference, call())).rejects.toEqual(underWay);
  azure.vault.slow(false);

  await provider.recover(reference, call());
  expect(await valueAt(reference)).toBe('one');
  await provider.delete(reference, call());
  azure.vault.slow(true);
  await provider.destroy(reference, call());
  await expect(provider.create(reference, textValue('two'), write(), call())).rejects.toEqual(underWay);
  azure.vault.slow(false);
  await provider.create(reference, textValue('two'), write(), call());
  expect(await valueAt(reference)).toBe('two');
});

test('a recovery that has not ended is told as one, and what lies there deleted is taken', async () => {
  const reference = newReference();
  await provider.create(reference, textValue('one'), write(), call());
  await provider.delete(reference, call());
  await expect(provider.create(reference, textValue('two'), write(), call())).rejects.toEqual(fails('reference_taken'));
  azure.vault.slow(true);
  await timesOut((soon) => provider.recover(reference, soon));
  await expect(provider.create(reference, textValue('two'), write(), call())).rejects.toEqual(
    fails('recovery_under_way', { retryAfterSeconds: 5 }),
  );
});

test('a throttle after the first call is no refusal of what that call has begun', async () => {
  const reference = newReference();
  await provider.create(reference, textValue('one'), write(), call());
  const { current } = await provider.describe(reference, call());
  let written = false;
  const afterWrite = ({ method }: FrontRequest) => (written ||= method === 'PUT') && method === 'GET';
  azure.fault(busy, { only: afterWrite });
  const put = provider.put(reference, textValue('two'), { attempt: '', ifVersion: current ?? '' }, call());
  await expect(put).rejects.toEqual(fails('provider_unreachable'));
  azure.fault(null);
  expect(await valueAt(reference)).toBe('two');

  azure.fault(busy, { only: isLook });
  await expect(provider.delete(reference, call())).rejects.toEqual(fails('provider_unreachable'));
  azure.fault(null);
  expect((await provider.describe(reference, call())).state).toBe('deleted');
  await provider.recover(reference, call());
  azure.fault(busy, { only: isPurge });
  await expect(provider.destroy(reference, call())).rejects.toEqual(fails('provider_unreachable'));
  azure.fault(busy, { only: ({ method }) => method === 'DELETE' });
  await expect(provider.destroy(reference, call())).rejects.toEqual(fails('provider_throttled'));
  azure.fault(null);
  await provider.destroy(reference, call());
  await expect(provider.describe(reference, call())).rejects.toEqual(fails('secret_missing'));
});

const LONG_AGO = `update provider_writes set started_at = started_at - interval '10 minutes' where outcome is null`;

test('whoever destroys a secret that is still being deleted is told so, and when to come again', async () => {
  const made = await send('POST', '/v1/secrets/slow', { value: { text: 'v' }, provider: 'vault' });
  expect(made).toMatchObject({ status: 201 });
  azure.vault.slow(true);
  expect(await send('DELETE', '/v1/secrets/slow')).toMatchObject({
    status: 503,
    body: { code: 'provider_unreachable' },
  });
  await world.rows(LONG_AGO);
  const destroy = () => send('POST', '/v1/secrets/slow/destroy', { confirm: 'slow' });
  expect(await destroy()).toMatchObject({
    status: 409,
    body: { code: 'deletion_under_way' },
    headers: { 'retry-after': '5' },
  });
  azure.vault.slow(false);
  expect(await destroy()).toMatchObject({ status: 200 });
  expect(() => azure.vault.deleted(String(made.body['reference']))).toThrow('not found');
});

test('a destruction that stopped between deletion and purge is brought to its end', async () => {
  const made = await send('POST', '/v1/secrets/half', { value: { text: 'v' }, provider: 'vault' });
  azure.fault(busy, { only: isPurge });
  const destroy = () => send('POST', '/v1/secrets/half/destroy', { confirm: 'half' });
  expect(await destroy()).toMatchObject({ status: 503, body: { code: 'provider_unreachable' } });
  azure.fault(null);
  await world.rows(LONG_AGO);
  // The next one settles it first, and finds nothing left to do.
  expect(await destroy()).toMatchObject({ status: 404, body: { code: 'secret_not_found' } });
  expect(() => azure.vault.deleted(String(made.body['reference']))).toThrow('not found');
});
