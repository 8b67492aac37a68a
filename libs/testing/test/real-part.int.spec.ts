import { afterEach, expect, test } from '@jest/globals';
import { describeWith, realPart } from '../src/index.ts';

const globals = globalThis as unknown as Record<'describe' | 'test', unknown>;
const original = { describe: globals.describe, test: globals.test, ci: process.env['CI'] };
afterEach(() => {
  Object.assign(globals, { describe: original.describe, test: original.test });
  if (original.ci === undefined) delete process.env['CI'];
  else process.env['CI'] = original.ci;
});

/** Records what would be registered with the test runner. */
function registered(real: Awaited<ReturnType<typeof realPart<string>>>, ci: boolean): string[] {
  const calls: string[] = [];
  globals.describe = (name: string, suite: () => void) => {
    calls.push(`suite ${name}`);
    suite();
  };
  globals.test = Object.assign((name: string) => calls.push(`fails ${name}`), {
    skip: (name: string) => calls.push(`skips ${name}`),
  });
  process.env['CI'] = String(ci);
  describeWith(real, 'realm', (part) => calls.push(`on ${part}`));
  return calls;
}

test('a suite runs on the part', async () => {
  const real = await realPart('Keycloak 26', async () => 'keycloak');
  expect(registered(real, true)).toEqual(['suite realm', 'on keycloak']);
});

test('without the part it is skipped by name and reason, and fails under CI=true', async () => {
  const real = await realPart<string>('Keycloak 26', () => Promise.reject(new Error('no Java\nat somewhere')));
  expect(registered(real, false)).toEqual(['skips realm: Keycloak 26 cannot be had: no Java']);
  expect(registered(real, true)).toEqual(['fails realm: Keycloak 26 cannot be had: no Java']);
});
