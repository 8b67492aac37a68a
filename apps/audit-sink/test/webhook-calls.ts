import type { MintOptions } from '@postern/testing';
import { request } from 'undici';
import type { World } from './world.ts';

export type WebhookCall = ReturnType<typeof webhookCalls>;

/** Calls of a tenant's administrator at the routes of webhooks. */
export const webhookCalls =
  (url: string, admin: Awaited<ReturnType<World['caller']>>) =>
  async (
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    { body, tenant = 'acme', headers = {} }: { body?: object; tenant?: string; headers?: Record<string, string> } = {},
  ): Promise<{ status: number; body: Record<string, unknown> }> => {
    const rights: Partial<MintOptions> = { scopes: ['webhooks:configure'], roles: ['admin'], tenant };
    const answer = await request(`${url}${path}`, {
      dispatcher: admin.dispatcher,
      method,
      headers: {
        authorization: `Bearer ${await admin.token(rights)}`,
        ...(body ? { 'content-type': 'application/json' } : {}),
        ...headers,
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await answer.body.text();
    return { status: answer.statusCode, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
  };
