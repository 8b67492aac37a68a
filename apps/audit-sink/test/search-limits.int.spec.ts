import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { event, heldIds, openWorld, until, type World } from './world.ts';

let world: World;
let url: string;
let auditor: Awaited<ReturnType<World['caller']>>;

beforeAll(async () => {
  world = await openWorld();
  ({ url } = await world.sink());
  const producer = await world.producer();
  await producer.relay(url, 0);
  auditor = await world.caller();
  const one = event();
  await producer.audit.commit(one);
  await until(async () => (await heldIds(world)).includes(one.id), 'the log is not empty');
});
afterAll(async () => {
  await world?.close();
});

const ASKED = ['/v1/events?', '/v1/export?', '/v1/events/counts?to=2026-01-01T00:00:00Z&'];

test.each(ASKED)(
  '%s: a time that no calendar of ours has is refused by name, one with any offset is a time',
  async (path) => {
    const asked = (from: string) => auditor.get(`${url}${path}from=${encodeURIComponent(from)}`);
    for (const from of ['0000-01-01T00:00:00Z', '9999-12-31T23:59:59-23:00', '0001-01-01T00:00:00+01:00']) {
      expect(await asked(from)).toMatchObject({ status: 400, body: { errors: [{ field: 'query.from' }] } });
    }
    const taken = ['2026-01-01T00:00:00+23:59', '2026-01-01T00:00:00-23:59', `2026-01-01T00:00:00.${'1'.repeat(300)}Z`];
    for (const from of taken) expect((await asked(from)).status).toBe(200);
  },
);

test('counts of more hours than one answer holds are refused, not cut short', async () => {
  await world.asOwner(
    `insert into log_counts (tenant, hour, action, outcome, count)
     select 'many', '2001-01-01T00:00:00Z'::timestamptz + h * interval '1 hour', 'record.read', 'success', 1
     from generate_series(0, 20000) as h`,
  );
  const asked = (to: string) =>
    auditor.get(`${url}/v1/events/counts?from=2001-01-01T00:00:00Z&to=${to}`, { tenant: 'many' });
  expect(await asked('2004-01-01T00:00:00Z')).toMatchObject({ status: 400, body: { errors: [{ field: 'query.to' }] } });
  const { status, body } = await asked('2001-03-02T00:00:00Z');
  expect({ status, hours: (body['counts'] as unknown[]).length }).toEqual({ status: 200, hours: 60 * 24 });
});
