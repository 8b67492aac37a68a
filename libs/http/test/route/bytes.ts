import { describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import { call, job, last, service } from './scene.ts';

/** A body of bytes. */
export function bytes(): void {
  describe('a body of bytes', () => {
    const blob = `/blobs/${crypto.randomUUID()}`;
    const put = async (bytes: Buffer, headers: Record<string, string>) => {
      const token = await service.mint({ scopes: ['records:write'] });
      const answer = await request(`${service.urls.api}${blob}`, {
        dispatcher: job,
        method: 'PUT',
        headers: { authorization: `Bearer ${token}`, ...headers },
        body: bytes,
      });
      const came = Buffer.from(await answer.body.arrayBuffer());
      return {
        status: answer.statusCode,
        type: answer.headers['content-type'],
        hash: answer.headers['request-hash'],
        came,
      };
    };

    test('comes and goes as it is, with its type in one spelling', async () => {
      const bytes = Buffer.from([0, 255, 254, 10, 0]);
      expect(await put(bytes, { 'content-type': 'application/octet-stream' })).toMatchObject({
        status: 200,
        came: bytes,
      });
      const text = Buffer.from('Grüße');
      const answer = await put(text, { 'content-type': 'Text/Plain; Charset="UTF-8"' });
      expect(answer).toMatchObject({ status: 200, type: 'text/plain; charset=utf-8', came: text });
      expect(await put(Buffer.alloc(0), { 'content-type': 'text/plain' })).toMatchObject({ status: 200 });
    });

    test('that is not what it says, of another type, or too large is refused', async () => {
      const statusOf = async (bytes: Buffer, type: string) => (await put(bytes, { 'content-type': type })).status;
      expect(await statusOf(Buffer.from([0xff]), 'text/plain')).toBe(400);
      expect(await statusOf(Buffer.from('{'), 'application/json')).toBe(400);
      expect(await statusOf(Buffer.alloc(0), 'application/json')).toBe(400);
      expect(await statusOf(Buffer.from('x'), 'image/png')).toBe(415);
      expect(await statusOf(Buffer.from('x'), 'text/plain; charset=latin1')).toBe(415);
      expect(await statusOf(Buffer.alloc(1001), 'application/octet-stream')).toBe(413);
    });

    test('is part of the request that an Idempotency-Key stands for', async () => {
      const hashOf = async (body: string) =>
        (await put(Buffer.from(body), { 'content-type': 'text/plain', 'idempotency-key': 'one' })).hash;
      expect(await hashOf('a')).toBe(await hashOf('a'));
      expect(await hashOf('a')).not.toBe(await hashOf('b'));
    });

    test('HEAD is a route of its own: recorded, without a body, with the length it leaves out', async () => {
      const { status, headers, text } = await call(blob, { method: 'HEAD' });
      expect({ status, length: headers['content-length'], text }).toEqual({ status: 200, length: '7', text: '' });
      expect(await last()).toMatchObject({ action: 'record.read', outcome: 'success' });
      expect((await call(`/things/${crypto.randomUUID()}`, { method: 'HEAD' })).status).toBe(405);
    });
  });
}
