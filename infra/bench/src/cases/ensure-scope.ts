import { fromEnvironment } from '@postern/client';
import { startLocalPostern } from '@postern/client/testing';
import type { Case } from '../measure.ts';

const ROUNDS = 1_000_000;

/** Nanoseconds of CPU for a token that is awaited, as every caller of either way awaits it. */
async function nanoseconds(token: () => Promise<string> | undefined): Promise<number> {
  const before = process.cpuUsage();
  let length = 0;
  for (let round = 0; round < ROUNDS; round += 1) length += (await token())?.length ?? 0;
  const { user, system } = process.cpuUsage(before);
  if (length === 0) throw new Error('no token was given');
  return ((user + system) * 1_000) / ROUNDS;
}

/** A held token: clock, subject and certificate are looked at each time (R12). The peer's key is ready as one string, and never over. */
export const ensureScopeHeld: Case = {
  name: 'client/ensure-scope',
  unit: 'CPU nanoseconds a held token',
  against: 'a Map of promises by the same audience and scopes',
  goal: { atMost: 3 },
  async prepare() {
    const local = await startLocalPostern({ scopes: { 'files:read': { audience: 'files' } } });
    const subject = await local.subjectToken({ sub: 'alice' });
    const scopes = fromEnvironment({ env: local.env, envFile: 'none', token: subject });
    const audience = { audience: 'files' };
    const token = await scopes.ensureScope('files:read', audience);
    const held = new Map([['files files:read', Promise.resolve(token)]]);
    return {
      ours: () => nanoseconds(() => scopes.ensureScope('files:read', audience)),
      peer: () => nanoseconds(() => held.get('files files:read')),
      async close() {
        await scopes.close();
        await local.close();
      },
    };
  },
};
