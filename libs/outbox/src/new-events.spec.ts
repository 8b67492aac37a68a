import { expect, test } from '@jest/globals';
import { hearOfEvents, tellOfEvents, tellOfEventSoon } from './new-events.ts';

const LONG_MS = 60_000;
const running = () => new AbortController().signal;

test('a relay that waits hears of an event at once, and of one while it worked when it asks next', async () => {
  const pool = {};
  const events = hearOfEvents(pool);
  const waiting = events.next(LONG_MS, running());
  tellOfEvents(pool);
  await expect(waiting).resolves.toBe(true);
  tellOfEvents(pool);
  await expect(events.next(LONG_MS, running())).resolves.toBe(true);
  tellOfEventSoon(pool);
  await expect(events.next(LONG_MS, running())).resolves.toBe(true);
  // What was told is told once.
  await expect(events.next(1, running())).resolves.toBe(false);
});

test('a relay hears of its own pool alone, and nothing after its end', async () => {
  const pool = {};
  const events = hearOfEvents(pool);
  tellOfEvents({});
  await expect(events.next(1, running())).resolves.toBe(false);
  events.close();
  tellOfEvents(pool);
  await expect(events.next(1, running())).resolves.toBe(false);
});

test('a relay that stops waits no longer', async () => {
  const events = hearOfEvents({});
  await expect(events.next(LONG_MS, AbortSignal.abort())).resolves.toBe(false);
});
