import { createHash, createHmac } from 'node:crypto';
import { type Given, type Seen } from './upstream.ts';

type Holder = { accessKeyId: string; secretAccessKey: string };
type Of = { service: string; region: string };

const hash = (text: string) => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
const MAY_DIFFER_MS = 300_000;

/**
 * A service of AWS as far as it judges requests (IAM User Guide, "Create a signed AWS API request"): the signature is computed
 * from the request that arrived, with the key of who it says it is of; the date may differ by five minutes. Answers JSON.
 */
export function awsService({ service, region }: Of, { accessKeyId, secretAccessKey }: Holder) {
  const refused = (code: string): Given => ({ status: 403, body: JSON.stringify({ __type: code }) });
  return ({ method, url, headers, body }: Seen): Given => {
    const [, keyId = '', date = '', names = '', signature = ''] =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/[^,]+, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
        headers.authorization ?? '',
      ) ?? [];
    if (keyId !== accessKeyId) return refused('UnrecognizedClientException');
    const at = String(headers['x-amz-date']);
    const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(at) ?? [];
    const sentAt = Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`);
    if (!(Math.abs(Date.now() - sentAt) < MAY_DIFFER_MS)) return refused('RequestExpired');
    const listed = names.split(';');
    if (!['host', 'x-amz-date'].every((name) => listed.includes(name))) return refused('IncompleteSignature');
    const [path = '', query = ''] = url.split('?');
    const canonical = [
      method,
      path,
      query.split('&').sort().join('&'),
      ...listed.map((name) => `${name}:${String(headers[name]).trim()}`),
      '',
      names,
      hash(body),
    ].join('\n');
    const scope = `${date}/${region}/${service}/aws4_request`;
    const key = [date, region, service, 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secretAccessKey}`);
    const wanted = hmac(key, ['AWS4-HMAC-SHA256', at, scope, hash(canonical)].join('\n')).toString('hex');
    if (signature !== wanted) return refused('SignatureDoesNotMatch');
    return {
      status: 200,
      body: JSON.stringify({ MessageId: 'm-1', signed: names, token: headers['x-amz-security-token'] }),
    };
  };
}
