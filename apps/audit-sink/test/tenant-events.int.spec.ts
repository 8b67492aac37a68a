import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { verifyReceipt, type EventReceipt } from '@postern/client';
import { ids, openSearchedLog, type Page, type SearchedLog } from './searched-log.ts';
import { until } from './world.ts';

let opened: SearchedLog;
let world: SearchedLog['world'];
let url: SearchedLog['url'];
let search: SearchedLog['search'];

beforeAll(async () => {
  opened = await openSearchedLog();
  ({ world, url, search } = opened);
});
afterAll(() => opened?.close());

test('a service in the name of an administrator reads that tenant alone, with receipts, and nothing else of the log (R8)', async () => {
  const service = await world.caller('key-proxy');
  const admin = (tenant: string) => ({
    tenant,
    scopes: ['audit:read-tenant'],
    roles: ['admin'],
    sub: 'ada',
    clientId: 'key-proxy',
    actors: ['key-proxy', 'portal'],
  });
  const page = async (tenant: string) =>
    (await service.get(`${url}/v1/tenant/events?action=record.read&limit=200`, admin(tenant))).body as unknown as Page;
  expect(ids(await page('acme'))).toEqual(ids(await search('&action=record.read')));
  const globex = await page('globex');
  expect(globex.events.length).toBeGreaterThan(0);
  expect(globex.events.every(({ tenant }) => tenant === 'globex')).toBe(true);

  const line = (await service.get(`${url}/v1/log/key`, null)).text.trim();
  const receipt = (id: string, tenant: string) => service.get(`${url}/v1/tenant/events/${id}/receipt`, admin(tenant));
  const [id] = ids(globex) as [string];
  const { body } = await receipt(id, 'globex');
  expect(verifyReceipt(body as unknown as EventReceipt, { logKey: line }).event.id).toBe(id);
  expect(await receipt(id, 'acme')).toMatchObject({ status: 404, body: { code: 'event_not_found' } });

  for (const path of [
    '/v1/events',
    `/v1/events/${id}/receipt`,
    '/v1/export',
    '/v1/log/producers',
    '/v1/log/tile/0/000',
  ])
    expect([path, (await service.get(`${url}${path}`, admin('globex'))).status]).toEqual([path, 403]);
  const user = { ...admin('globex'), roles: ['user'] };
  expect(await service.get(`${url}/v1/tenant/events`, user)).toMatchObject({ body: { code: 'role_missing' } });
  const scoped = { ...admin('globex'), scopes: ['audit:read'] };
  expect(await service.get(`${url}/v1/tenant/events`, scoped)).toMatchObject({ body: { code: 'insufficient_scope' } });

  const readers = async () => (await search('&action=audit.read', 'globex')).events.map(({ actor }) => actor);
  const ada = { person: { sub: 'ada' }, acts: ['key-proxy', 'portal'] };
  await until(
    async () => (await readers()).some(({ person }) => person?.sub === 'ada'),
    'that it was read is in the log',
  );
  expect(await readers()).toContainEqual(
    expect.objectContaining({ ...ada, person: expect.objectContaining(ada.person) }),
  );
});
