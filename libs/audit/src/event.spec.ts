import { expect, test } from '@jest/globals';
import { actionNames, auditEvent, canonicalBytes, newEvent, type EventDraft } from './index.ts';

const now = new Date('2026-03-01T10:00:00.123Z');
const draft: EventDraft = {
  action: 'record.read',
  outcome: 'success',
  tenant: 'acme',
  actor: { person: { issuer: 'https://idp.example/realms/postern', sub: 'alice' }, workload: 'portal' },
  resource: { type: 'record', id: 'r1', version: 3 },
  details: { source: 'cache' },
};

test('a draft becomes an event with a version 7 id and the time given', () => {
  const event = newEvent(draft, now);
  expect(event).toMatchObject({ ...draft, v: 1, time: '2026-03-01T10:00:00.123Z' });
  expect(event.id[14]).toBe('7');
  expect(auditEvent.parse(event)).toEqual(event);
});

test('details that belong to another action are refused', () => {
  expect(() => newEvent({ ...draft, details: { provider: 'aws' } }, now)).toThrow(/details/);
  expect(() => newEvent({ ...draft, action: 'record.written' }, now)).toThrow(TypeError);
});

test('a success carries all its details, a refusal may lack them but brings no others', () => {
  const bare = { ...draft, action: 'token.exchanged', details: {} } as const;
  expect(() => newEvent(bare, now)).toThrow(/details.audience/);
  expect(newEvent({ ...bare, outcome: 'refused', reason: 'invalid_target' }, now).outcome).toBe('refused');
  expect(() => newEvent({ ...bare, outcome: 'refused', details: { token: 'x' } }, now)).toThrow(TypeError);
});

test('an unknown action, a reason in free text and an unknown field are refused', () => {
  expect(() => newEvent({ ...draft, action: 'record.copied' as 'record.read' }, now)).toThrow(TypeError);
  expect(() => newEvent({ ...draft, reason: 'Could not open it' }, now)).toThrow(TypeError);
  expect(() => newEvent({ ...draft, extra: 1 } as EventDraft, now)).toThrow(TypeError);
});

test('every action of the table has a refusal', () => {
  for (const action of actionNames)
    expect(newEvent({ ...draft, action, outcome: 'refused', details: {} }, now).action).toBe(action);
});

test('canonical bytes do not depend on the order of fields, and leave out what is undefined (RFC 8785)', () => {
  expect(canonicalBytes({ b: [1, 'é'], a: undefined, A: null })).toEqual(canonicalBytes({ A: null, b: [1, 'é'] }));
  expect(new TextDecoder().decode(canonicalBytes({ b: 1e21, a: '\u20ac\u000f' }))).toBe('{"a":"€\\u000f","b":1e+21}');
});

test.each([NaN, Infinity, -Infinity, '\ud800', undefined])('%p has no canonical form', (value) => {
  expect(() => canonicalBytes(value === undefined ? value : { value })).toThrow(TypeError);
});

test('what is in order already has the same canonical bytes as when it is not (RFC 8785)', () => {
  const event = newEvent({ ...draft, trace: 'f'.repeat(32), reason: 'plain_code' }, now);
  const turned = Object.fromEntries(Object.entries(event).toReversed());
  expect(Object.keys(event)).toEqual(Object.keys(event).toSorted());
  expect(canonicalBytes(event)).toEqual(canonicalBytes(turned));
  expect(canonicalBytes({ 9: 1, 10: 2 })).toEqual(new TextEncoder().encode('{"10":2,"9":1}'));
  expect(canonicalBytes({ a: new Date(0) })).toEqual(new TextEncoder().encode('{"a":"1970-01-01T00:00:00.000Z"}'));
});
