import { expect } from '@jest/globals';
import { openWorld, type Caller, type Reply, type World } from '../token-exchange.ts';

// Whoever attacks stands at the doors of one world; each attack shows that nothing was minted.

export let world: World;
export let portal: Caller;
export let job: Caller;
export let keyProxy: Caller;
export let stranger: Caller;

export async function open(): Promise<void> {
  world = await openWorld();
  [portal, job, keyProxy, stranger] = await Promise.all([
    world.caller('portal'),
    world.caller('job'),
    world.caller('key-proxy'),
    world.caller('postgres'),
  ]);
}

type Over = Parameters<World['realm']['mint']>[0];
export const alice = (over: Partial<Over> = {}) =>
  world.realm.mint({
    audience: 'token-exchange',
    clientId: 'portal',
    roles: ['user'],
    boundTo: portal.thumbprint,
    ...over,
  });
export const grant = (over: Partial<Over> = {}) => world.jobGrant(job, { scopes: ['records:read'], ...over });

const counted = () => world.query<{ count: string }>('select count(*) from exchanges').then(([row]) => row?.count);

/** Nothing was minted, the answer is an OAuth error, and it shows nothing that was sent. */
export async function refused(reply: Promise<Reply>): Promise<string> {
  const before = await counted();
  const { status, body, text } = await reply;
  expect(await counted()).toBe(before);
  expect(text).not.toContain('access_token');
  expect(Object.keys(body).toSorted()).toEqual(['error', 'error_description']);
  return `${status} ${String(body['error'])}`;
}

export const asked = (token: string) => portal.exchange(token, 'auth-manager', 'grants:read');
export const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
/** The header and the claims of a token; its signature is bytes. */
export const parts = (token: string) =>
  token
    .split('.')
    .slice(0, 2)
    .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as object);
