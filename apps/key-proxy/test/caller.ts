import { type MtlsAgent } from '@postern/mtls';
import { request } from 'undici';

/** One answer, its body parsed. */
export type Reply = { status: number; body: Record<string, unknown>; headers: Record<string, string> };

/** A workload's connection to one service. */
export type Caller = {
  thumbprint: string;
  dispatcher: MtlsAgent;
  send(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    url: string,
    options?: { body?: unknown; token?: string; headers?: Record<string, string> },
  ): Promise<Reply>;
};

/** Calls over a workload's certificate, with the token that each call gives. */
export const callerOver = (dispatcher: MtlsAgent): Caller => ({
  thumbprint: dispatcher.thumbprint(),
  dispatcher,
  async send(method, url, { body, token, headers = {} } = {}) {
    const answer = await request(url, {
      dispatcher,
      method,
      headers: {
        ...headers,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.body.text();
    return {
      status: answer.statusCode,
      body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
      headers: answer.headers as Record<string, string>,
    };
  },
});
