import { expect, test } from '@jest/globals';
import { Secret } from '@postern/runtime';
import { type AskedUse, fits, prepareRequest } from './prepare-request.ts';
import { projectAnswer } from './project-answer.ts';
import { redactor } from './redact.ts';
import { useDefinition } from './use-definition.ts';

const value = new Secret('sk-live-51Hx&Q/z+ÆØ');
const definition = useDefinition.parse({
  host: 'api.example.com:8443',
  placement: { kind: 'bearer' },
  methods: ['GET', 'POST'],
  path: '/v1/charges/*',
  headers: { accept: 'application/json' },
  caller_headers: ['idempotency-key'],
  caller_query: ['expand'],
});
const asked: AskedUse = { method: 'GET', path: '/v1/charges/ch_1', query: {}, headers: {} };
const token = new Secret('a-token-68');
const prepare = (more: Partial<AskedUse> = {}, by: object = {}) =>
  prepareRequest({ ...definition, ...by }, { ...asked, ...more }, token);

test('R37: the request is the definition’s, with the secret in its place', () => {
  expect(prepare({ query: { expand: 'a b&c' }, headers: { 'idempotency-key': 'k' } })).toEqual({
    url: 'https://api.example.com:8443/v1/charges/ch_1?expand=a+b%26c',
    method: 'GET',
    headers: { 'idempotency-key': 'k', accept: 'application/json', authorization: 'Bearer a-token-68' },
  });
  const basic = { placement: { kind: 'basic', username: 'me' } };
  expect(prepare({}, basic).headers['authorization']).toBe('Basic bWU6YS10b2tlbi02OA==');
  const header = { placement: { kind: 'header', name: 'x-api-key', prefix: 'key ' } };
  expect(prepare({}, header).headers['x-api-key']).toBe('key a-token-68');
  expect(prepare({}, { placement: { kind: 'query', name: 'key' } }).url).toContain('?key=a-token-68');
});

test.each<[string, Partial<AskedUse>]>([
  ['method', { method: 'DELETE' }],
  ['query', { query: { other: '1' } }],
  ['headers', { headers: { 'x-other': '1' } }],
  ['headers', { headers: { host: 'evil.example' } }],
  ['headers', { headers: { authorization: 'Bearer mine' } }],
  ['body', { body: 'x' }],
  ...[
    '/v1/charges',
    '/v1/charges/a/b',
    '/v1/charges/',
    '/v1/charges/..',
    '/v1/charges/.',
    '/v1/charges/%2e%2e',
    '/v1/charges/a%2fb',
    '/v1/charges/a\\b',
    '/v1/charges/a?x=1',
    '/v1/charges/a#x',
    '/v1/charges/é',
    '//evil.example/charges/a',
    '/V1/charges/a',
    '@evil.example/v1/charges/a',
    '/v1/charges/a\n',
    'https://evil.example/v1/charges/a',
  ].map((path): [string, Partial<AskedUse>] => ['path', { path }]),
])('R37: what the definition does not say is refused by its name: %s %j', (field, more) => {
  expect(() => prepare(more)).toThrow(
    expect.objectContaining({ code: 'use_not_allowed', fields: [expect.objectContaining({ field: `body.${field}` })] }),
  );
});

test('a value that would end a header never gets into one', () => {
  for (const bad of ['a\r\nx: y', ' a', 'ø', ''])
    expect(() => prepareRequest(definition, asked, new Secret(bad))).toThrow(
      expect.objectContaining({ code: 'use_impossible' }),
    );
});

test.each([
  { host: 'user@api.example.com' },
  { host: 'api.example.com/path' },
  { host: 'API.example.com' },
  { host: '127.1' },
  { host: '0x7f000001' },
  { host: 'api.example.com:443' },
  { methods: ['TRACE'] },
  { methods: ['CONNECT'] },
  { headers: { host: 'evil.example' } },
  { headers: { Authorization: 'mine' } },
  { headers: { 'accept-encoding': 'gzip' } },
  { headers: { 'x-a': 'b\r\nc: d' } },
  { caller_headers: ['Transfer-Encoding'] },
  { caller_headers: ['x-forwarded-for'] },
  { placement: { kind: 'header', name: 'Host' } },
  { placement: { kind: 'basic', username: 'a:b' } },
  { path: '/v1/../admin' },
  { path: '/v1/**' },
  { answer_fields: ['__proto__ x'] },
  { unknown: true },
])('R37: no definition says %j', (more) => {
  expect(useDefinition.safeParse({ ...definition, ...more }).success).toBe(false);
});

test('a pattern fits whole segments only', () => {
  expect(fits('/a/*/c', '/a/b.1/c')).toBe(true);
  expect(fits('/', '/')).toBe(true);
  expect(fits('/a/*', '/a/b/')).toBe(false);
});

test('a reflected secret, whole or a piece of eight characters, is blotted out in each usual form', () => {
  const text = value.reveal();
  const bytes = Buffer.from(text);
  const forms = [
    text,
    text.toUpperCase(),
    [...text].reverse().join(''),
    bytes.toString('hex'),
    bytes.toString('base64'),
    Buffer.concat([Buffer.from('x'), bytes, Buffer.from('y')]).toString('base64'),
    Buffer.concat([Buffer.from('xy'), bytes]).toString('base64url'),
    encodeURIComponent(text),
    JSON.stringify(text),
    text.slice(3, 11),
    text.slice(0, 9),
  ];
  const redact = redactor(text);
  for (const form of forms) {
    const shown = redact(`before ${form} after`);
    expect(shown).toMatch(/^before .*\[redacted\].* after$/);
    for (let at = 0; at + 8 <= text.length; at += 1) expect(shown).not.toContain(text.slice(at, at + 8));
  }
  expect(redact('nothing of it, sk-live')).toBe('nothing of it, sk-live');
  expect(redactor('short')('a short one')).toBe('a [redacted] one');
});

test('of an answer only declared scalar fields that are its own are given out', () => {
  const body = Buffer.from(
    JSON.stringify({
      id: 'ch_1',
      amount: 5,
      ok: true,
      none: null,
      card: { last4: '4242' },
      list: [{ a: 'b' }],
      x: 'sk-live-51Hx',
    }),
  );
  const fields = [
    'id',
    'amount',
    'ok',
    'none',
    'card.last4',
    'list.0.a',
    'card',
    'list',
    'missing',
    'constructor.name',
    'x',
  ];
  expect(projectAnswer(fields, body, redactor(value.reveal()))).toEqual({
    id: 'ch_1',
    amount: 5,
    ok: true,
    none: null,
    'card.last4': '4242',
    'list.0.a': 'b',
    x: '[redacted]',
  });
  expect(projectAnswer(['a'], Buffer.from('no json'), (text) => text)).toEqual({});
  expect(projectAnswer(['n'], Buffer.from('{"n":12345678901}'), redactor('12345678901'))).toEqual({ n: '[redacted]' });
});
