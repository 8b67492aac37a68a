import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openAudit, type Audit } from '@postern/outbox';
import { createRegistry, silentLogger, systemNow } from '@postern/runtime';
import { pollEvents } from '../src/sources/keycloak/poll-events.ts';
import { sourceMetrics } from '../src/sources/source-metrics.ts';
import { openWorld, type World } from './world.ts';

let world: World;
let audit: Audit;
const logger = silentLogger();

beforeAll(async () => {
  world = await openWorld();
  audit = await openAudit({ postgres: world.log, producer: 'audit-sink', logger });
});
afterAll(async () => {
  await audit?.close();
  await world?.close();
});

const realm = (name: string) => ({ issuer: `https://keycloak.example/realms/${name}`, tenant: 'acme', name });
const polling = () => ({
  postgres: world.log,
  audit,
  metrics: sourceMetrics(createRegistry('audit-sink')),
  logger,
  now: systemNow,
});
const BEGAN = Date.now() - 3_600_000;
const login = (at: number, over: object = {}) => ({ id: randomUUID(), time: BEGAN + at, type: 'LOGIN', ...over });

test('a provider that has much to tell is left after the page at which the round has to end, and read on from there', async () => {
  let pages = 0;
  const read = async ({ max }: { max: number }) => {
    pages += 1;
    if (pages > 5) throw new Error('it was read on and on');
    return Array.from({ length: max }, (_, i) => login(pages * 1_000 + i));
  };
  await pollEvents(polling(), realm('long'), 'user', read, () => pages >= 2);
  expect(pages).toBe(2);
  const [cursor] = await world.log.query<{ at: Date }>(
    `select at from source_cursors where source = 'keycloak/long/user'`,
  );
  expect(cursor?.at).toEqual(new Date(BEGAN + 2_099));
});

test('an event with text that nothing can store is recorded without it, and holds up none behind it', async () => {
  const odd = login(1, { sessionId: 's\u00001', userId: 'u-1', details: { username: 'al\ud83dice', scope: '\udc00' } });
  await pollEvents(
    polling(),
    realm('odd'),
    'user',
    async () => [odd, login(2)],
    () => false,
  );
  const seen = await world.log.query(
    `select event_id, session from source_events where source = 'keycloak/odd/user' order by at`,
  );
  expect(seen).toEqual([
    { event_id: odd.id, session: null },
    { event_id: expect.any(String), session: null },
  ]);
});
