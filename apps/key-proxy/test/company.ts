import { expect } from '@jest/globals';
import { type Caller, type Reply } from './caller.ts';
import { signUpBody, type World } from './world.ts';

/** The password of everybody here. */
export const password = 'a long enough password';
type Method = Parameters<Caller['send']>[0];

/** Companies in a world, and their calls. */
export function companiesIn(world: World, caller: Caller) {
  const send = (method: Method, path: string, token: string | null, body?: object) =>
    caller.send(method, `${world.url}${path}`, { ...(token === null ? {} : { token }), ...(body && { body }) });
  const logIn = (email: string, more: object = {}) => send('POST', '/login', null, { email, password, ...more });
  return {
    send,
    logIn,
    /** A new company's first account; answers its token. */
    async administrator(email: string): Promise<string> {
      expect((await send('POST', '/signup', null, signUpBody(email))).status).toBe(201);
      return tokenOf(await logIn(email));
    },
    async member(admin: string, email: string, role = 'user'): Promise<Reply> {
      const { body } = await send('POST', '/v1/invitations', admin, { email, role });
      return send('POST', '/v1/accept-invitation', null, accepting(body['token']));
    },
  };
}
export type Companies = ReturnType<typeof companiesIn>;

export const accepting = (token: unknown) => ({ token, contact_name: 'Bob Example', phone_number: '+45 1', password });
export const tokenOf = ({ body }: Reply) => String(body['access_token']);
export const refreshOf = ({ body }: Reply) => String(body['refresh_token']);
export const failed = (status: number, code: string) => ({ status, body: { code } });

/** Revocations are followed once a second (R14). */
export async function revoked(call: () => Promise<Reply>): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    if ((await call()).status === 401) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the token still works');
}
