import type { openAgent } from '@postern/mtls';
import type { MintOptions, TestIssuer } from '@postern/testing';
import { request } from 'undici';

/** One answer, its body parsed. */
export type Reply = { status: number; body: Record<string, unknown>; headers: Record<string, string> };

export type SendOptions = {
  method?: string;
  body?: unknown;
  token?: string | null;
  headers?: Record<string, string>;
};

export type Caller = {
  thumbprint: string;
  /** A token for a person of the realm, through this workload. */
  tokenFor(username: string, scopes: readonly string[], options?: Partial<MintOptions>): Promise<string>;
  /** A token for this workload itself. */
  ownToken(scopes: readonly string[], options?: Partial<MintOptions>): Promise<string>;
  send(url: string, options?: SendOptions): Promise<Reply>;
  /** A body of bytes out, and the body of the answer as it came. */
  stream(url: string, options: { token: string; body: string }): Promise<{ status: number; text: string }>;
  /** The body of an answer as it came: a stream that ends. `begun` is called when its head is there. */
  text(url: string, options?: SendOptions & { begun?: () => void }): Promise<string>;
  sendForm(url: string, form: Record<string, string>): Promise<Reply>;
};

type Speaks = {
  issuer: TestIssuer;
  realmIssuer: string;
  subOf: (username: string) => string;
  workload: string;
  thumbprint: string;
};

/** A workload with a certificate, and tokens bound to it as token-exchange would mint them. */
export function callerOver(
  dispatcher: ReturnType<typeof openAgent>,
  { issuer, realmIssuer, subOf, workload, thumbprint }: Speaks,
): Caller {
  const common = { audience: 'auth-manager', clientId: workload, boundTo: thumbprint };
  return {
    thumbprint,
    tokenFor: (username, scopes, options = {}) =>
      issuer.mint({
        ...common,
        sub: subOf(username),
        subjectIssuer: realmIssuer,
        actors: [workload],
        scopes,
        ...options,
      }),
    ownToken: (scopes, options = {}) =>
      issuer.mint({ ...common, sub: workload, subjectIssuer: null, scopes, ...options }),
    text: async (url, { token = null, headers = {}, begun = () => {} } = {}) => {
      const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
      const { body } = await request(url, { dispatcher, headers: { ...headers, ...authorization } });
      begun();
      return body.text();
    },
    async stream(url, { token, body }) {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream' };
      const answer = await request(url, { dispatcher, method: 'POST', headers, body });
      return { status: answer.statusCode, text: await answer.body.text() };
    },
    sendForm: (url, form) =>
      answerOf(
        request(url, {
          dispatcher,
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams(form).toString(),
        }),
      ),
    async send(url, { method = 'GET', body, token = null, headers = {} } = {}) {
      const asked = request(url, {
        dispatcher,
        method: method as 'GET',
        headers: {
          ...headers,
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: body === undefined ? null : JSON.stringify(body),
      });
      return answerOf(asked);
    },
  };
}

async function answerOf(asked: ReturnType<typeof request>): Promise<Reply> {
  const answer = await asked;
  const text = await answer.body.text();
  return {
    status: answer.statusCode,
    body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
    headers: answer.headers as Record<string, string>,
  };
}
