import { expect, test } from '@jest/globals';
import { canonicalBytes, newEvent } from '@postern/audit';
import { readEntry } from './read-entry.ts';

const event = (request: string) =>
  newEvent(
    {
      action: 'record.read',
      outcome: 'success',
      tenant: 'acme',
      actor: { workload: 'portal' },
      request,
      details: { source: 'cache' },
    },
    new Date('2026-03-01T10:00:00.123Z'),
  );
const read = (bytes: Buffer, { id, action } = event('r-1')) =>
  readEntry({ id, action, salt: bytes, event: bytes }, bytes);

test('an event is read from its canonical bytes, whatever is in its text', () => {
  for (const request of ['r-1', 'Jürgen 🗝', String.raw`\ud800 written out`, '"\u0001\\']) {
    const one = event(request);
    expect(read(canonicalBytes(one), one)).toEqual({ event: one, opaque: null });
  }
});

test('other bytes of the same event stay opaque: spaces, another order, a byte order mark, half a surrogate pair (R25)', () => {
  const one = event('r-1');
  const text = canonicalBytes(one).toString();
  const { v, ...rest } = one;
  const opaque = (bytes: string) => read(Buffer.from(bytes), one).opaque;
  expect(opaque(text.replace(',', ', '))).toBe('not_canonical');
  expect(opaque(JSON.stringify({ v, ...rest }))).toBe('not_canonical');
  expect(opaque(`\ufeff${text}`)).toBe('not_json');
  expect(opaque(text.replace('r-1', String.raw`\ud800`))).toBe('not_canonical');
  expect(opaque(text.replace('r-1', String.raw`\u0072-1`))).toBe('not_canonical');
  expect(read(Buffer.from([0xff]), one).opaque).toBe('not_json');
  expect(opaque(text.replace('"source":"cache"', '"source":"elsewhere"'))).toBe('not_an_event');
  expect(read(canonicalBytes(one), event('r-2')).opaque).toBe('not_the_entry_named');
});
