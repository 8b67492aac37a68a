import { expect, test } from '@jest/globals';
import { createRegistry, problem } from '@postern/runtime';
import { budgetMetrics, createBudget } from './budget.ts';
import { quotas } from './quotas.ts';
import { createBudgets } from './within-budget.ts';

/** A budget of AWS's writes, and a clock. */
function opened() {
  const clock = { ms: 1_000_000 };
  const registry = createRegistry('test');
  const budget = createBudget('aws', budgetMetrics(registry), () => new Date(clock.ms));
  /** How many of `tries` calls were sent. */
  const sent = async (tries: number, call = async () => {}) => {
    let count = 0;
    for (let n = 0; n < tries; n += 1) {
      await budget
        .spend('write', async () => {
          count += 1;
          return call();
        })
        .catch(() => {});
    }
    return count;
  };
  return { clock, registry, budget, sent };
}
const { perSecond, burst } = quotas.aws.write;

test('a burst is sent, then the published rate; what is over it is told when to come again', async () => {
  const { clock, budget, sent } = opened();
  expect(await sent(burst * 3)).toBe(burst);
  await expect(budget.spend('write', async () => {})).rejects.toMatchObject({
    code: 'provider_throttled',
    retryAfterSeconds: 1,
  });
  clock.ms += 500;
  expect(await sent(burst * 3)).toBe(perSecond / 2);
  // Reads have a budget of their own.
  await expect(budget.spend('read', async () => 'read')).resolves.toBe('read');
});

test('a refusal of the provider halves the rate and its Retry-After is kept; the rate comes back slowly', async () => {
  const { clock, budget, sent } = opened();
  const refusal = async () => Promise.reject(problem('provider_throttled', { retryAfterSeconds: 3 }));
  await expect(budget.spend('write', refusal)).rejects.toMatchObject({ code: 'provider_throttled' });
  clock.ms += 2_000;
  expect(await sent(10)).toBe(0);
  clock.ms += 1_001;
  const first = await sent(burst * 2);
  expect(first).toBeGreaterThan(perSecond / 4);
  expect(first).toBeLessThanOrEqual(burst);
  clock.ms += 1_000;
  expect(await sent(burst * 2)).toBeLessThan(perSecond * 0.7);
  clock.ms += 60_000;
  await sent(burst * 2);
  clock.ms += 1_000;
  expect(await sent(burst * 2)).toBe(Math.min(burst, perSecond));
});

test('a provider that does not answer ten times is left alone, then tried by one', async () => {
  const { registry, sent, budget } = opened();
  const silent = async () => Promise.reject(problem('provider_unreachable', { retryAfterSeconds: 1 }));
  expect(await sent(25, silent)).toBe(10);
  await expect(budget.spend('read', async () => {})).rejects.toMatchObject({
    code: 'provider_unreachable',
    retryAfterSeconds: 5,
  });
  const text = await registry.metrics();
  expect(text).toMatch(/key_proxy_provider_calls_total\{[^}]*class="write",result="left_alone"[^}]*\} 15/);
  expect(text).toMatch(/key_proxy_provider_headroom\{[^}]*class="write"/);
});

test('the headroom that is shown is what was left at the last call', async () => {
  const { clock, registry, sent } = opened();
  const headroom = async () =>
    Number(/key_proxy_provider_headroom\{[^}]*class="write"[^}]*\} (\S+)/.exec(await registry.metrics())?.[1]);
  await sent(1);
  expect(await headroom()).toBe(1);
  await sent(burst / 2);
  expect(await headroom()).toBeCloseTo(0.5);
  await sent(burst);
  expect(await headroom()).toBe(0);
  clock.ms += 500;
  await sent(1);
  expect(await headroom()).toBeCloseTo((0.5 * perSecond) / burst);
});

test('each configuration has a budget of its own; of more than are ever open, the one used longest ago begins anew', () => {
  const budgets = createBudgets({ registry: createRegistry('test'), now: () => new Date(0) });
  const [first, second] = [budgets.of('aws', 'first'), budgets.of('aws', 'second')];
  expect(second).not.toBe(first);
  for (let n = 0; n < 999; n += 1) {
    budgets.of('aws', `another-${n}`);
    expect(budgets.of('aws', 'first')).toBe(first);
  }
  expect(budgets.of('aws', 'second')).not.toBe(second);
});
