import { expect, test } from '@jest/globals';
import { problem, Secret } from '@postern/runtime';
import { type SecretProvider } from '../providers/secret-provider.ts';
import { type HeldSecret } from './list-secrets.ts';
import { readValues } from './read-values.ts';

const held = (name: string): HeldSecret => ({
  id: name,
  name,
  provider: 'crypto-store',
  reference: `secret/${name}`,
  version: '1',
  generation: '1',
  createdAt: new Date(0),
});
const by = { subjectToken: new Secret('token') };

/** A provider in memory: the second implementation of the port. */
const providerOfValues = (read: SecretProvider['read']): SecretProvider => ({
  kind: 'crypto-store',
  read,
  write: async () => ({ version: '1' }),
});

test('values come in the order of the secrets, read a few at a time', async () => {
  let running = 0;
  let most = 0;
  const provider = providerOfValues(async (reference) => {
    most = Math.max(most, (running += 1));
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    return { value: new Secret(reference.toUpperCase()) };
  });
  const names = Array.from({ length: 30 }, (_, at) => `n${at}`);
  const opened = await readValues(new Map([['crypto-store', provider]]), names.map(held), by);
  expect(opened.map(({ value }) => value.reveal())).toEqual(names.map((name) => `SECRET/${name.toUpperCase()}`));
  expect(most).toBeLessThanOrEqual(8);
});

test('one value that cannot be read fails the whole; nothing partial is given out', async () => {
  const provider = providerOfValues(async (reference) => {
    if (reference === 'secret/b') throw problem('secret_missing');
    return { value: new Secret('v') };
  });
  const reading = readValues(new Map([['crypto-store', provider]]), ['a', 'b', 'c'].map(held), by);
  await expect(reading).rejects.toMatchObject({ code: 'secret_missing' });
});

test('a secret at a provider that this deployment cannot reach is said to be so', async () => {
  const reading = readValues(new Map(), [held('a')], by);
  await expect(reading).rejects.toMatchObject({ code: 'provider_unavailable' });
});
