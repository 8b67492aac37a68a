import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { type AuditEvent } from '@postern/audit';
import { awsService } from './aws-service.ts';
import { asks, newTenant, openUsedSecrets, type UsedSecrets } from './used-secrets.ts';

let world: UsedSecrets['world'];
let upstream: UsedSecrets['upstream'];
let send: UsedSecrets['send'];
let definitionWith: UsedSecrets['definitionWith'];
let secretOf: UsedSecrets['secretOf'];
let close: UsedSecrets['close'];

beforeAll(async () => {
  ({ world, upstream, send, definitionWith, secretOf, close } = await openUsedSecrets());
}, 180_000);
afterAll(() => close?.());
afterEach(() => upstream.answerWith(() => ({ body: '{}' })));

test('R37: a use sends the secret to the defined host only, in its place, and gives out the status and the declared fields', async () => {
  const tenant = newTenant();
  const secret = 'sk-live-51Hx8Q2zKq';
  const token = await secretOf(
    tenant,
    'used',
    secret,
    definitionWith({ answer_fields: ['id', 'echo', 'part'], caller_headers: ['x-a'] }),
  );
  upstream.answerWith(({ headers }) => ({
    status: 201,
    headers: { 'x-echo': String(headers['authorization']), 'content-type': 'application/json' },
    body: JSON.stringify({
      id: 7,
      echo: headers['authorization'],
      part: secret.slice(2, 12),
      other: headers['authorization'],
    }),
  }));
  const used = await send('POST', '/used/use', token, {
    method: 'POST',
    path: '/v1/a',
    headers: { 'X-A': 'b' },
    body: '{}',
  });
  expect(used).toMatchObject({ status: 200, body: { status: 201, body: null } });
  expect(used.body['fields']).toEqual({ id: 7, echo: 'Bearer [redacted]', part: '[redacted]' });
  expect(upstream.seen.at(-1)).toMatchObject({
    method: 'POST',
    url: '/v1/a',
    body: '{}',
    headers: { host: upstream.host, authorization: `Bearer ${secret}`, 'x-a': 'b', 'accept-encoding': 'identity' },
  });
  expect((await send('PUT', '/used/use', token, definitionWith({ full_answer: true }))).status).toBe(403);

  const events = (
    await world.rows<{ event: string }>(`select convert_from(canonical, 'utf8') as event from audit_outbox order by id`)
  )
    .map(({ event }) => JSON.parse(event) as AuditEvent)
    .filter((event) => event.tenant === tenant && event.action === 'secret.used');
  expect(events.map(({ outcome, details }) => [outcome, details['host'], details['status']])).toEqual([
    ['intent', upstream.host, undefined],
    ['success', upstream.host, 201],
  ]);
});

test.each([
  ['bearer', { kind: 'bearer' }, { authorization: 'Bearer s3cret-value' }, '/v1/a'],
  ['basic', { kind: 'basic', username: 'me' }, { authorization: 'Basic bWU6czNjcmV0LXZhbHVl' }, '/v1/a'],
  ['a header', { kind: 'header', name: 'x-api-key', prefix: 'key ' }, { 'x-api-key': 'key s3cret-value' }, '/v1/a'],
  ['the query', { kind: 'query', name: 'key' }, {}, '/v1/a?key=s3cret-value'],
])('R37: a host gets the secret as %s, and in no other place', async (_name, placement, headers, url) => {
  const token = await secretOf(newTenant(), 'placed', 's3cret-value', definitionWith({ placement }));
  expect(await send('POST', '/placed/use', token, asks)).toMatchObject({ status: 200, body: { status: 200 } });
  const seen = upstream.seen.at(-1);
  expect(seen).toMatchObject({ method: 'GET', url, headers });
  const elsewhere = Object.entries(seen?.headers ?? {}).filter(([name]) => !Object.hasOwn(headers, name));
  expect(JSON.stringify(elsewhere)).not.toMatch(/s3cret-value|czNjcmV0/);
});

const QUEUE = { service: 'sqs', region: 'eu-central-1' };
const KEY = { accessKeyId: 'AKIDEXAMPLEAKIDEXAMP', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const accessKey = (more: object = {}) =>
  JSON.stringify({ access_key_id: KEY.accessKeyId, secret_access_key: KEY.secretAccessKey, ...more });
const signing = (more: object = {}) =>
  definitionWith({
    placement: { kind: 'sigv4', ...QUEUE },
    headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'AmazonSQS.SendMessage' },
    caller_query: ['note', 'b'],
    answer_fields: ['MessageId', 'signed', 'token', '__type'],
    ...more,
  });
const message = { method: 'POST', path: '/v1/queue', query: { note: "it's a (b*c)+d ü", b: '2' }, body: '{"a":"ü"}' };

test('R37: what arrives at a service of AWS has the signature that the service computes of it', async () => {
  upstream.answerWith(awsService(QUEUE, KEY));
  const token = await secretOf(newTenant(), 'signs', accessKey({ session_token: 'a-session-token' }), signing());
  const used = await send('POST', '/signs/use', token, message);
  expect(used).toMatchObject({ status: 200, body: { status: 200, fields: { MessageId: 'm-1', token: '[redacted]' } } });
  expect(String((used.body['fields'] as Record<string, string>)['signed']).split(';')).toEqual(
    expect.arrayContaining(['content-type', 'host', 'x-amz-date', 'x-amz-security-token', 'x-amz-target']),
  );
  expect(JSON.stringify(upstream.seen.at(-1))).not.toContain(KEY.secretAccessKey);

  // The service judges: with another key, and for another service or region, the same request is refused.
  const other = await secretOf(newTenant(), 'signs', accessKey({ secret_access_key: 'x'.repeat(40) }), signing());
  const told = async (token: string) => (await send('POST', '/signs/use', token, message)).body;
  const mismatch = { status: 403, fields: { __type: 'SignatureDoesNotMatch' } };
  expect(await told(other)).toMatchObject(mismatch);
  for (const placed of [{ service: 'sns' }, { region: 'us-east-1' }]) {
    const placement = { kind: 'sigv4', ...QUEUE, ...placed };
    expect((await send('PUT', '/signs/use', token, signing({ placement }))).status).toBe(204);
    expect(await told(token)).toMatchObject(mismatch);
  }
});

test('R35, R37: nothing is signed for STS, IAM or an address inside, nothing that the caller adds, and no redirect is followed', async () => {
  upstream.answerWith(awsService(QUEUE, KEY));
  const token = await secretOf(newTenant(), 'signs', accessKey(), signing());
  const before = upstream.seen.length;
  for (const definition of [
    signing({ placement: { kind: 'sigv4', service: 'sts', region: 'us-east-1' } }),
    signing({ placement: { kind: 'sigv4', service: 'iam', region: 'us-east-1' } }),
    signing({ host: 'sts.eu-central-1.amazonaws.com' }),
    signing({ host: 'iam.amazonaws.com' }),
    signing({ headers: { 'x-amz-security-token': 'mine' } }),
    signing({ caller_headers: ['x-amz-date'] }),
    signing({ caller_headers: ['authorization'] }),
  ])
    expect(await send('PUT', '/signs/use', token, definition)).toMatchObject({ status: 400 });
  for (const more of [
    { headers: { authorization: 'mine' } },
    { headers: { 'x-amz-date': '20150830T123600Z' } },
    { query: { 'X-Amz-Signature': 'mine' } },
    { path: '/v1/..' },
    { method: 'GET', body: undefined, path: '/v2/queue' },
  ])
    expect(await send('POST', '/signs/use', token, { ...message, ...more })).toMatchObject({
      body: { code: 'use_not_allowed' },
    });
  for (const host of ['169.254.169.254', '10.0.0.1', `localhost:${upstream.host.split(':')[1]}`]) {
    expect((await send('PUT', '/signs/use', token, signing({ host }))).status).toBe(204);
    expect(await send('POST', '/signs/use', token, message)).toMatchObject({ body: { code: 'use_host_refused' } });
  }
  const plain = await secretOf(newTenant(), 'signs', 'no access key', signing());
  expect(await send('POST', '/signs/use', plain, message)).toMatchObject({ body: { code: 'use_impossible' } });
  expect(upstream.seen).toHaveLength(before);

  expect((await send('PUT', '/signs/use', token, signing())).status).toBe(204);
  upstream.answerWith(() => ({ status: 307, headers: { location: `https://${upstream.host}/v1/other` }, body: '' }));
  expect(await send('POST', '/signs/use', token, message)).toMatchObject({ body: { code: 'use_unreachable' } });
  expect(upstream.seen.slice(before).map(({ url }) => url.split('?')[0])).toEqual(['/v1/queue']);
});

test('R35: no address trick gets a use out: redirects, other names, private, metadata and mapped addresses; the canary sees nothing', async () => {
  const tenant = newTenant();
  const token = await secretOf(tenant, 'tricks');
  const port = upstream.host.split(':')[1];
  const before = upstream.seen.length;
  const refused = [
    `localhost:${port}`,
    `127.0.0.2:${port}`,
    `127.1:${port}`,
    `2130706433:${port}`,
    `0x7f000001:${port}`,
    `0177.0.0.1:${port}`,
    `[::1]:${port}`,
    `[::ffff:127.0.0.1]:${port}`,
    `[::ffff:7f00:1]:${port}`,
    `[64:ff9b::7f00:1]:${port}`,
    `0.0.0.0:${port}`,
    '169.254.169.254',
    '[fd00:ec2::254]',
    '10.0.0.1',
    '100.64.0.1',
    'metadata.google.internal',
  ];
  const tried: [string, number][] = [];
  for (const target of refused) {
    const defined = await send('PUT', '/tricks/use', token, definitionWith({ host: target }));
    const { status } = defined.status === 204 ? await send('POST', '/tricks/use', token, asks) : defined;
    tried.push([target, status]);
  }
  expect(tried.filter(([, status]) => ![400, 403, 502].includes(status))).toEqual([]);
  expect(upstream.seen).toHaveLength(before);

  await send('PUT', '/tricks/use', token, definitionWith());
  upstream.answerWith(() => ({
    status: 302,
    headers: { location: `https://${upstream.host}/v1/elsewhere` },
    body: '',
  }));
  expect(await send('POST', '/tricks/use', token, asks)).toMatchObject({
    status: 502,
    body: { code: 'use_unreachable' },
  });
  upstream.answerWith(() => ({ headers: { 'content-encoding': 'gzip' }, body: 'x' }));
  expect((await send('POST', '/tricks/use', token, asks)).status).toBe(502);
  upstream.answerWith(() => ({ body: 'x'.repeat(300_000) }));
  expect((await send('POST', '/tricks/use', token, asks)).status).toBe(502);
  expect(upstream.seen.slice(before).map(({ url }) => url)).toEqual(['/v1/a', '/v1/a', '/v1/a']);
});

test('a value that no server takes in a field is not sent, nor looked for in an answer', async () => {
  const before = upstream.seen.length;
  const token = await secretOf(newTenant(), 'long', 'x'.repeat(8 * 1024 + 1));
  expect(await send('POST', '/long/use', token, asks)).toMatchObject({ status: 422, body: { code: 'use_impossible' } });
  expect(upstream.seen).toHaveLength(before);
});

test('what was used is in no log, and not in the tables', async () => {
  const tenant = newTenant();
  const token = await secretOf(tenant, 'quiet', 'canary-used-77c0-value');
  upstream.answerWith(() => ({ body: '{"id":"canary-used-77c0-value"}' }));
  await send('POST', '/quiet/use', token, asks);
  await send('POST', '/quiet/use', token, { ...asks, path: '/v1/canary-used-77c0-value/x' });
  const tables = await world.rows<{ all: string }>(
    `select (select json_agg(u)::text from secret_uses u) || (select string_agg(convert_from(canonical, 'utf8'), '') from audit_outbox) as all`,
  );
  const places = [...world.logged, tables[0]?.all ?? ''].join('\n');
  expect(places.length).toBeGreaterThan(1_000);
  for (const form of ['canary-used-77c0-value', Buffer.from('canary-used-77c0-value').toString('base64')])
    expect(places).not.toContain(form);
});
