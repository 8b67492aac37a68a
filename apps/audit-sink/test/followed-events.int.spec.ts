import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { AuditEvent } from '@postern/audit';
import { request } from 'undici';
import { alice, openSearchedLog, type SearchedLog } from './searched-log.ts';
import { event, heldIds, until } from './world.ts';

let opened: SearchedLog;
let world: SearchedLog['world'];
let url: SearchedLog['url'];
let producer: SearchedLog['producer'];
let auditor: SearchedLog['auditor'];

beforeAll(async () => {
  opened = await openSearchedLog();
  ({ world, url, producer, auditor } = opened);
});
afterAll(() => opened?.close());

test('a stream of a person begins before anything is known of that person', async () => {
  const sub = 'who-comes-later';
  const named = new URLSearchParams({ actor: sub, issuer: alice.issuer });
  const authorization = `Bearer ${await auditor.token()}`;
  const answer = await request(`${url}/v1/events/stream?${named}`, {
    dispatcher: auditor.dispatcher,
    headers: { authorization },
  });
  const chunks = (answer.body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  expect(String((await chunks.next()).value)).toContain('following');
  const late = event({ actor: { person: { ...alice, sub } } });
  await producer.audit.commit(late);
  let text = '';
  const reading = (async () => {
    for (;;) {
      const { value, done } = await chunks.next();
      if (done) return;
      text += String(value);
    }
  })().catch(() => {});
  await until(() => text.includes(late.id), 'it came');
  answer.body.destroy();
  await reading;
});

test('a stream brings what comes, and goes on after the last id without a gap or a repetition', async () => {
  const connect = async (headers: Record<string, string> = {}) => {
    const authorization = `Bearer ${await auditor.token()}`;
    const answer = await request(`${url}/v1/events/stream?action=record.read`, {
      dispatcher: auditor.dispatcher,
      headers: { authorization, ...headers },
    });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['content-type']).toBe('text/event-stream');
    const received: { id: string; event: AuditEvent }[] = [];
    let last = '';
    const reading = (async () => {
      let text = '';
      for await (const chunk of answer.body) {
        text += String(chunk);
        for (let at = text.indexOf('\n\n'); at >= 0; at = text.indexOf('\n\n')) {
          const fields = Object.fromEntries(
            text
              .slice(0, at)
              .split('\n')
              .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
          );
          text = text.slice(at + 2);
          last = fields['id'] ?? last;
          if (fields['event'] === 'audit')
            received.push({ id: last, event: JSON.parse(fields['data'] ?? '') as AuditEvent });
        }
      }
    })().catch(() => {});
    await until(() => last !== '', 'the stream is open');
    return { received, last: () => last, close: async () => (answer.body.destroy(), reading) };
  };
  const first = await connect();
  const [one, two, three] = [event(), event(), event()];
  await producer.audit.commit(one!);
  await until(() => first.received.length === 1, 'the first event came');
  const at = first.last();
  await first.close();
  await producer.audit.commit(two!);
  await until(async () => (await heldIds(world)).includes(two!.id), 'the second is in the log');
  const second = await connect({ 'last-event-id': at });
  await producer.audit.commit(three!);
  await until(() => second.received.length === 2, 'the others came');
  expect([...first.received, ...second.received].map(({ event: { id } }) => id)).toEqual([one!.id, two!.id, three!.id]);
  await second.close();
});
