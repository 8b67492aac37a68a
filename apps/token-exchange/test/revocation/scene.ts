import { isActive, openWorld, tokenOf, type Caller, type World, until } from '../token-exchange.ts';

// A grant of the job, and who revokes what came of it: one world for all cases.

export let world: World;
export let portal: Caller;
export let job: Caller;
export let keyProxy: Caller;
export let cryptoStore: Caller;

export async function open(): Promise<void> {
  world = await openWorld();
  [portal, job, keyProxy, cryptoStore] = (await Promise.all(
    ['portal', 'job', 'key-proxy', 'crypto-store'].map((name) => world.caller(name)),
  )) as [Caller, Caller, Caller, Caller];
}

export const mintGrant = (over = {}) =>
  world.jobGrant(job, {
    scopes: ['records:read', 'records:write', 'secrets:read', 'secrets:write'],
    grantId: 'grant-1',
    ...over,
  });

export const exchangedFor = async (caller: Caller, subject: string, audience: string, scope: string) =>
  tokenOf(await caller.exchange(subject, audience, scope));

/** A person of the realm as administrator at token-exchange, through the portal. */
export async function administrator(roles: string[] = ['admin']) {
  const login = await world.realm.mint({
    audience: 'token-exchange',
    sub: 'carol',
    clientId: 'portal',
    roles,
    boundTo: portal.thumbprint,
  });
  const token = await exchangedFor(portal, login, 'token-exchange', 'tokens:revoke');
  return (target: object) =>
    portal.call('/v1/revocations', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ target }),
    });
}

export { isActive, tokenOf, until };
