import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type AuditEvent } from '@postern/audit';
import { type Caller } from './caller.ts';
import { recordedEvents } from './recorded-events.ts';
import { startService } from './service-process.ts';
import { openWorld, type World } from './world.ts';

let world: World;
let job: Caller;
let token: string;

beforeAll(async () => {
  world = await openWorld({ others: true });
  job = await world.caller('job');
  const tenant = `kp_${randomUUID().replaceAll('-', '')}`;
  token = await world.token(job.thumbprint, ['secrets:read', 'secrets:write'], { tenant, roles: ['admin'] });
});
afterAll(() => world?.close());

const send = (method: 'POST' | 'PATCH', path: string, body: object) =>
  job.send(method, `${world.url}${path}`, { token, body });

/** What was told of a secret, by the rounds of a worker that runs until it has told of `marker`, which was due at that start too. */
async function told(id: string, marker: string): Promise<AuditEvent[]> {
  const worker = await startService('key-proxy', { ...world.env, POSTERN_ROLE: 'worker', POSTERN_PUBLIC_PORT: '0' });
  const due = async (of: string) =>
    (await recordedEvents(world)).filter(({ action, resource }) => action === 'rotation.due' && resource?.id === of);
  while ((await due(marker)).length === 0) await new Promise((resolve) => setTimeout(resolve, 100));
  await worker.close();
  return due(id);
}

test('an owner is told once, a week ahead, of what is to be rotated or expires, and again of another date', async () => {
  const DAY_MS = 86_400_000;
  const inDays = (days: number) => new Date(Date.now() + days * DAY_MS).toISOString();
  const create = async (more: object) => {
    const made = await send('POST', `/v1/secrets/${randomUUID()}`, { value: { text: 'v' }, ...more });
    expect(made).toMatchObject({ status: 201 });
    return { name: String(made.body['name']), id: String(made.body['id']) };
  };
  const [rotated, renewed, expiring, later] = [
    await create({ rotate_days: 3 }),
    await create({ rotate_days: 5 }),
    await create({ expires_at: inDays(6) }),
    await create({ expires_at: inDays(8), rotate_days: 30 }),
  ];
  const first = await told(rotated.id, expiring.id);
  expect(first).toMatchObject([{ actor: { person: { sub: 'alice' } }, resource: { type: 'secret' } }]);
  expect(await told(later.id, expiring.id)).toEqual([]);

  // Another worker tells of what is new, and of nothing twice.
  const date = inDays(2);
  await send('POST', `/v1/secrets/${renewed.name}/versions`, { value: { text: 'rotated' } });
  await send('PATCH', `/v1/secrets/${later.name}`, { expires_at: date });
  expect(await told(rotated.id, later.id)).toHaveLength(1);
  expect(await told(later.id, later.id)).toMatchObject([{ details: { due: date } }]);
  // One that was rotated in time is told of when that is due the next time.
  expect(await told(renewed.id, later.id)).toHaveLength(2);
});
