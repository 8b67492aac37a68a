import { expect, test } from '@jest/globals';
import { createTenantRates } from '@postern/http';
import type { Principal } from '@postern/oidc';
import { openExchangeRates } from './exchange-rates.ts';

const person = (sub: string, tenant = 'acme') =>
  ({ tenant, clientId: 'portal', person: { issuer: 'https://realm.example', sub } }) as Principal;

/** How many of that many exchanges are let through. */
async function through(times: number, exchange: (n: number) => Promise<void>): Promise<number> {
  let passed = 0;
  for (let n = 0; n < times; n += 1) {
    await exchange(n).then(
      () => (passed += 1),
      (error: { code?: string }) => expect(error.code).toBe('too_many_requests'),
    );
  }
  return passed;
}

test('a subject has its own rate: the same name at another issuer, in another tenant or of a workload is another', async () => {
  const rates = openExchangeRates(2, createTenantRates());
  expect(await through(3, () => rates.consume('portal', person('alice')))).toBe(2);
  const elsewhere = { ...person('alice'), person: { issuer: 'https://other.example', sub: 'alice' } };
  for (const other of [person('bob'), elsewhere, person('alice', 'kp_1'), { ...person('alice'), person: null }]) {
    expect(await through(3, () => rates.consume('portal', other))).toBe(2);
  }
});

test('a client has twenty times as many for one tenant, whoever its subjects are, and is not slowed down for another', async () => {
  const rates = openExchangeRates(1, createTenantRates());
  expect(await through(25, (n) => rates.consume('portal', person(`p-${n}`)))).toBe(20);
  expect(await through(1, () => rates.consume('job', person('another')))).toBe(1);
  expect(await through(1, () => rates.consume('portal', person('another', 'kp_1')))).toBe(1);
});

test('a tenant has a hundred times as many, whoever asks', async () => {
  const rates = openExchangeRates(1, createTenantRates());
  expect(await through(120, (n) => rates.consume(`workload-${n % 10}`, person(`p-${n}`)))).toBe(100);
  expect(await through(1, () => rates.consume('another', person('p-0', 'kp_1')))).toBe(1);
});

test('a tenant with a quota has that many, whoever asks, and is told when there is more', async () => {
  const rates = openExchangeRates(1_000, createTenantRates());
  for (const sub of ['alice', 'bob', 'carol']) await rates.consume('portal', person(sub), 3);
  await expect(rates.consume('job', person('dave'), 3)).rejects.toMatchObject({
    code: 'tenant_rate_exceeded',
    headers: { 'ratelimit-policy': '"tenant";q=3;w=60', ratelimit: expect.stringMatching(/^"tenant";r=0;t=\d+$/) },
  });
  await rates.consume('job', person('dave', 'kp_1'), 3);
  // A larger quota counts from the request on that brings it.
  await rates.consume('job', person('dave'), 10);
});
