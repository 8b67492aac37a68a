import { expect, test } from '@jest/globals';
import { createTokenCache, type ExchangedToken, type TokenKey } from './token-cache.ts';

const start = new Date('2026-01-01T00:00:00Z');
const key: TokenKey = { subjectToken: 'subject', audience: 'crypto-store', scopes: ['a', 'b'], thumbprint: 'first' };

function startCache() {
  const clock = { now: start };
  let minted = 0;
  const cache = createTokenCache({ renewBeforeSeconds: 30, now: () => clock.now });
  const mint = async (): Promise<ExchangedToken> => {
    minted += 1;
    const expiresAt = new Date(clock.now.getTime() + 300_000);
    return { accessToken: `token-${minted}`, issuedTokenType: 'urn', scopes: [], expiresAt };
  };
  const get = async (changes: Partial<TokenKey> = {}) => (await cache.get({ ...key, ...changes }, mint)).accessToken;
  return { get, cache, elapse: (seconds: number) => (clock.now = new Date(clock.now.getTime() + seconds * 1000)) };
}

test('a token is kept until the margin before its expiry, then renewed', async () => {
  const { get, elapse } = startCache();
  expect(await get()).toBe('token-1');
  elapse(269);
  expect(await get()).toBe('token-1');
  elapse(1);
  expect(await get()).toBe('token-2');
});

test('R12: another certificate, subject, audience or scope set never gets the same token; the order of scopes does not matter', async () => {
  const { get } = startCache();
  expect(await get()).toBe('token-1');
  expect(await get({ scopes: ['b', 'a', 'a'] })).toBe('token-1');
  expect(await get({ thumbprint: 'second' })).toBe('token-2');
  expect(await get({ subjectToken: 'other' })).toBe('token-3');
  expect(await get({ audience: 'key-proxy' })).toBe('token-4');
  expect(await get({ scopes: ['a'] })).toBe('token-5');
});

test('callers who ask at the same time share one exchange; a failed one is not kept', async () => {
  const { get, cache } = startCache();
  const failing = () => cache.get(key, () => Promise.reject(new Error('down')));
  const outcomes = await Promise.allSettled([failing(), failing(), get()]);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(await Promise.all([get(), get(), get()])).toEqual(['token-1', 'token-1', 'token-1']);
});
