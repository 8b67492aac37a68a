import { expect, test } from '@jest/globals';
import { canonicalBytes, newEvent, type AuditEvent } from '@postern/audit';
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

test('what Postgres would not take stays opaque: a NUL in what is searched by, a time that there is not (R25)', () => {
  const one = event('r-1');
  const changed = (change: Partial<AuditEvent>) => {
    const other = { ...one, ...change };
    return read(canonicalBytes(other), one).opaque;
  };
  expect(changed({ tenant: 'ac\0me' })).toBe('not_storable');
  expect(changed({ actor: { workload: 'por\0tal' } })).toBe('not_storable');
  expect(changed({ resource: { type: 'record', id: 'a\0' } })).toBe('not_storable');
  expect(changed({ trace: '\0' })).toBe('not_storable');
  for (const time of ['2026-02-30T10:00:00.000Z', '2026-13-01T00:00:00.000Z', '0000-01-01T00:00:00.000Z'])
    expect(changed({ time })).toBe('not_storable');
  expect(changed({ time: '9999-12-31T23:59:59.999Z', resource: { type: 'record', id: '\u0001' } })).toBeNull();
});
