import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { call, close, create, open, restore, service } from './route/scene.ts';
import { bytes } from './route/bytes.ts';
import { declared } from './route/declared.ts';
import { guarded } from './route/guarded.ts';
import { badInput } from './route/bad-input.ts';
import { operations } from './route/operations.ts';

beforeAll(open);
afterAll(close);
afterEach(restore);

bytes();
declared();
guarded();
badInput();
operations();

test('each item of one request is an event of its own, proven fresh by itself (R32)', async () => {
  const { id } = await create();
  const gone = crypto.randomUUID();
  const answer = await call('/many', { method: 'POST', body: { ids: [id, gone] } });
  expect(answer.json()).toEqual({ fresh: [true, false] });
  const events = (await service.events()).slice(-2);
  expect(events.map(({ action, resource }) => [action, (resource as { id?: string } | undefined)?.id])).toEqual([
    ['record.read', id],
    ['record.listed', undefined],
  ]);
});
