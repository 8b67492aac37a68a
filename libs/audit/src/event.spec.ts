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

/** Arrays, structures, values, unicode and french of the scheme's own test data, shortened (github.com/cyberphone/json-canonicalization). */
const vectors: [string, unknown, string][] = [
  ['arrays', [56, { d: true, 10: null, 1: [] }], '[56,{"1":[],"10":null,"d":true}]'],
  [
    'structures',
    { 1: { f: { f: 'hi', F: 5 }, '\n': 56 }, 10: {}, '': 'empty', a: {}, 111: [{ e: 'yes', E: 'no' }], A: {} },
    '{"":"empty","1":{"\\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{"E":"no","e":"yes"}],"A":{},"a":{}}',
  ],
  [
    'values (RFC 8785 section 3.2.2)',
    {
      numbers: [333333333.33333329, 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"\/',
      literals: [null, true, false],
    },
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
      '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  ],
  [
    'weird (RFC 8785 section 3.2.3)',
    {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      1: 'One',
      '\ud83d\ude00': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    },
    '{"\\r":"Carriage Return","1":"One","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis",' +
      '"\u20ac":"Euro Sign","\ud83d\ude00":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
  ],
];
test.each(vectors)('the published vector %s has its canonical bytes (RFC 8785)', (_name, value, expected) => {
  expect(new TextDecoder().decode(canonicalBytes(value))).toBe(expected);
});

/** RFC 8785 once more, by its text and by no code of ours: sort by UTF-16 code units, leave the rest to ECMAScript. */
function plainly(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(plainly).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${plainly((value as never)[name])}`).join(',')}}`;
}
test('numbers of Appendix B and random values have the same bytes by two implementations (RFC 8785)', () => {
  const words = new BigUint64Array(1);
  const doubles = new Float64Array(words.buffer);
  let seed = 0x9e3779b97f4a7c15n;
  for (let i = 0; i < 2_000; i += 1) {
    seed = (seed * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    words[0] = seed;
    const n = doubles[0]!;
    if (!Number.isFinite(n)) continue;
    const value = { [String.fromCharCode(Number(seed % 0xd7ffn) + 1)]: [n, -n], b: { z: n, a: [String(n)] } };
    expect(Buffer.from(canonicalBytes(value)).toString()).toBe(plainly(value));
  }
  for (const [hex, text] of [
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555553', '333333333.3333332'],
  ] as const) {
    words[0] = BigInt(`0x${hex}`);
    expect(new TextDecoder().decode(canonicalBytes([doubles[0]]))).toBe(`[${text}]`);
  }
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

test('an event that was made here has the bytes of one that was looked through, also with characters that have none (RFC 8785)', () => {
  const odd = { ...draft, resource: { type: 'record', id: 'a\\ud800b ✓ 😀 "' } };
  const event = newEvent(odd, now);
  expect(canonicalBytes(event)).toEqual(canonicalBytes(structuredClone(event)));
  const lone = newEvent({ ...draft, resource: { type: 'record', id: '\ud800' } }, now);
  expect(() => canonicalBytes(lone)).toThrow(TypeError);
});
