import { expect, test } from '@jest/globals';
import { problem, Secret } from '@postern/runtime';
import { type Providers, unavailable } from '../providers/open-providers.ts';
import { type Read, type SecretProvider } from '../providers/secret-provider.ts';
import { type HeldSecret } from './held-secret.ts';
import { noCache } from './cache/value-cache.ts';
import { readValues, type ReadValues } from './read-values.ts';
import { textValue } from './secret-value.ts';

const held = (name: string): HeldSecret => ({
  id: name,
  grant: null,
  name,
  place: { tenant: 'acme', kind: 'crypto-store', configuration: null },
  reference: `secret/${name}`,
  version: 1,
  providerVersion: '1',
  type: 'text',
  state: 'live',
  isNewestDisabled: false,
  generation: '1',
  description: '',
  tags: {},
  labels: {},
  expiresAt: null,
  rotateDays: null,
  rotateAt: null,
  cacheSeconds: 60,
  staleSeconds: 0,
  createdAt: new Date(0),
  updatedAt: new Date(0),
});
const by = { subjectToken: new Secret('token') };
const read = (text: string): Read => ({ value: textValue(text), version: '1' });

const reaching = (provider: Partial<SecretProvider> | null): ReadValues => ({
  // Asked of versions that are not the newest by our count: here there are none.
  db: {} as never,
  providers: providersOf(provider),
  cache: noCache,
  now: () => new Date(),
});

const providersOf = (provider: Partial<SecretProvider> | null): Providers => ({
  kinds: ['crypto-store'],
  at: async ({ kind }) => {
    if (!provider) throw unavailable(kind, []);
    return provider as SecretProvider;
  },
  call: (by) => ({ by, signal: new AbortController().signal }),
});

test('values come in the order of the secrets, read a few at a time', async () => {
  let running = 0;
  let most = 0;
  const providers = reaching({
    read: async (reference) => {
      most = Math.max(most, (running += 1));
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      return read(reference.toUpperCase());
    },
  });
  const names = Array.from({ length: 30 }, (_, at) => `n${at}`);
  const opened = await readValues(providers, names.map(held), by);
  expect(opened.map(({ value }) => value.content.reveal())).toEqual(
    names.map((name) => `SECRET/${name.toUpperCase()}`),
  );
  expect(most).toBeLessThanOrEqual(8);
});

test('a provider that reads many at once is asked once', async () => {
  const asked: (readonly string[])[] = [];
  const providers = reaching({
    readMany: async (references) => {
      asked.push(references);
      return new Map(references.map((reference) => [reference, read(reference)]));
    },
  });
  await readValues(providers, ['a', 'b', 'c'].map(held), by);
  expect(asked).toEqual([['secret/a', 'secret/b', 'secret/c']]);
});

test('one value that cannot be read fails the whole; nothing partial is given out', async () => {
  const alone = reaching({
    read: async (reference) => {
      if (reference === 'secret/b') throw problem('secret_missing');
      return read('v');
    },
  });
  const together = reaching({
    readMany: async (references) =>
      new Map(references.map((at) => [at, at === 'secret/b' ? problem('secret_missing') : read('v')])),
  });
  for (const providers of [alone, together]) {
    const reading = readValues(providers, ['a', 'b', 'c'].map(held), by);
    await expect(reading).rejects.toMatchObject({ code: 'secret_missing' });
  }
});

test('a secret at a provider that this deployment cannot reach is said to be so', async () => {
  const reading = readValues(reaching(null), [held('a')], by);
  await expect(reading).rejects.toMatchObject({ code: 'provider_unavailable' });
});
