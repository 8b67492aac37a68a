import { expect, test } from '@jest/globals';
import { openWorld } from '../token-exchange.ts';

/** How often may be asked. */
export function rates(): void {
  test('rates: a subject that asks too often is told when to come back, and others are not', async () => {
    const hasty = await openWorld({ env: { POSTERN_EXCHANGES_PER_MINUTE: '3' } });
    try {
      const through = await hasty.caller('portal');
      const asks = async (sub: string) => {
        const who = {
          audience: 'token-exchange',
          sub,
          clientId: 'portal',
          roles: ['user'],
          boundTo: through.thumbprint,
        };
        return through.exchange(await hasty.realm.mint(who), 'auth-manager', 'grants:read');
      };
      for (let n = 0; n < 3; n += 1) expect((await asks('alice')).status).toBe(200);
      const refused = await asks('alice');
      expect(refused).toMatchObject({ status: 429, body: { error: 'temporarily_unavailable' } });
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
      expect((await asks('bob')).status).toBe(200);
      const before = await hasty.query<{ count: string }>('select count(*) from exchanges');
      expect(before[0]?.count).toBe('4');
    } finally {
      await hasty.close();
    }
  });

  test('rates of a client and of a tenant: twenty and a hundred times a subject’s; refused ones count too', async () => {
    const hasty = await openWorld({ env: { POSTERN_EXCHANGES_PER_MINUTE: '1' } });
    try {
      // All of it within the minute that is counted: a certificate for each exchange would take most of that.
      const names = ['portal', 'job', 'key-proxy', 'crypto-store', 'auth-manager', 'audit-sink'];
      const opened = await Promise.all(names.map(async (name) => [name, await hasty.caller(name)] as const));
      const callers = new Map(opened);
      const through = async (workload: string, sub: string, tenant?: string) => {
        const caller = callers.get(workload)!;
        const who = { sub, clientId: 'portal', roles: ['user'], boundTo: caller.thumbprint };
        const subject =
          tenant === undefined
            ? hasty.realm.mint({ ...who, audience: 'token-exchange' })
            : hasty.accounts.mint({ ...who, audience: workload, tenant });
        return (await caller.exchange(await subject, 'auth-manager', 'grants:read')).status;
      };
      const statuses = async (workload: string, count: number) => {
        const seen: number[] = [];
        for (let n = 0; n < count; n += 1) seen.push(await through(workload, `${workload}-${n}`));
        return seen;
      };
      expect(await statuses('portal', 22)).toEqual([...Array<number>(20).fill(200), 429, 429]);
      // Policy gives these nothing for such a subject, and they are four times twenty more of the same tenant.
      for (const workload of ['job', 'key-proxy', 'crypto-store', 'auth-manager']) {
        expect(new Set(await statuses(workload, 20))).toEqual(new Set([400]));
      }
      expect(await through('audit-sink', 'one-more')).toBe(429);
      expect(await through('audit-sink', 'one-more', 'kp_1')).toBe(400);
    } finally {
      await hasty.close();
    }
  });
}
