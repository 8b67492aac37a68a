import { createHash, createHmac } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { Secret } from '@postern/runtime';
import { prepareRequest } from './prepare-request.ts';
import { accessKeyOf, signSigv4 } from './sign-sigv4.ts';
import { useDefinition } from './use-definition.ts';

// The access key of the examples in AWS's own documentation of signatures.
const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const accessKey = new Secret(JSON.stringify({ access_key_id: 'AKIDEXAMPLEAKIDEXAMP', secret_access_key: SECRET }));
const at = new Date('2015-08-30T12:36:00Z');
const defined = {
  host: 'queue.eu-central-1.amazonaws.com',
  placement: { kind: 'sigv4', service: 'sqs', region: 'eu-central-1' },
  methods: ['POST'],
  path: '/queue/*',
  headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'AmazonSQS.SendMessage' },
  caller_query: ['note', 'b'],
};

async function signed(query: Record<string, string>, body: string) {
  const definition = useDefinition.parse(defined);
  if (definition.placement.kind !== 'sigv4') throw new TypeError('it is defined so');
  const asked = { method: 'POST', path: '/queue/one', query, headers: {}, body } as const;
  const prepared = prepareRequest(definition, asked, accessKey);
  return signSigv4(prepared, definition.placement, accessKeyOf(accessKey), () => at);
}

test('R37: a signature is what a service of AWS computes of the request that arrives', async () => {
  const body = '{"a":1}';
  const { url, method, headers } = await signed({ note: "it's a (b*c)+d ü", b: '2' }, body);
  const { authorization = '', ...others } = headers;
  const listed = Object.entries({ ...others, host: new URL(url).host }).sort(([a], [b]) => (a < b ? -1 : 1));
  const names = listed.map(([name]) => name).join(';');
  const hash = (text: string) => createHash('sha256').update(text).digest('hex');
  const query = new URL(url).search.slice(1).split('&').sort().join('&');
  // The canonical request, the string to sign and the key, as the reference of Signature Version 4 gives them.
  const canonical = [
    method,
    '/queue/one',
    query,
    ...listed.map(([name, value]) => `${name}:${value}`),
    '',
    names,
    hash(body),
  ];
  const scope = '20150830/eu-central-1/sqs/aws4_request';
  const text = ['AWS4-HMAC-SHA256', '20150830T123600Z', scope, hash(canonical.join('\n'))].join('\n');
  const key = ['20150830', 'eu-central-1', 'sqs', 'aws4_request'].reduce<string | Buffer>(
    (before, part) => createHmac('sha256', before).update(part).digest(),
    `AWS4${SECRET}`,
  );
  const signature = createHmac('sha256', key).update(text).digest('hex');
  expect(authorization).toBe(
    `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLEAKIDEXAMP/${scope}, SignedHeaders=${names}, Signature=${signature}`,
  );
  expect(query).toBe('b=2&note=it%27s%20a%20%28b%2Ac%29%2Bd%20%C3%BC');
  expect(names).toBe('content-type;host;x-amz-content-sha256;x-amz-date;x-amz-target');
  expect(JSON.stringify({ url, headers })).not.toContain(SECRET);
});

test.each([
  ['service', { placement: { kind: 'sigv4', service: 'sts', region: 'us-east-1' } }],
  ['service', { placement: { kind: 'sigv4', service: 'iam', region: 'us-east-1' } }],
  ['host', { host: 'sts.amazonaws.com' }],
  ['host', { host: 'sts.eu-central-1.amazonaws.com' }],
  ['host', { host: 'iam.amazonaws.com' }],
  ['host', { host: 'sts-fips.us-east-1.amazonaws.com' }],
  ['headers', { headers: { 'x-amz-security-token': 'mine' } }],
  ['region', { placement: { kind: 'sigv4', service: 'sqs', region: 'eu/central' } }],
])('R37: no use signs for %s of %j', (_, by) => {
  expect(useDefinition.safeParse(defined).success).toBe(true);
  expect(useDefinition.safeParse({ ...defined, ...by }).success).toBe(false);
});

test('a secret that is no access key signs nothing, and is not named', () => {
  for (const text of [
    'plain',
    '{}',
    '{"access_key_id":"x","secret_access_key":"short"}',
    `{"secret_access_key":"${SECRET}"}`,
  ])
    expect(() => accessKeyOf(new Secret(text))).toThrow(expect.objectContaining({ code: 'use_impossible' }));
});
