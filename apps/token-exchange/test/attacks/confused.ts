import { randomUUID } from 'node:crypto';
import type { Attack, Cast } from './doors.ts';

const typed = (type: string) => `urn:ietf:params:oauth:token-type:${type}`;

/** R7: a token of one kind in the place of another. */
export function kinds({ world, portal }: Cast): Attack[] {
  const { realm, grants, accounts } = world;
  const common = {
    audience: 'token-exchange',
    clientId: 'portal',
    roles: ['user', 'operator'],
    scopes: ['policy:read', 'grants:read'],
    boundTo: portal.thumbprint,
  };
  const grant = { ...common, kind: 'grant', grantId: randomUUID(), actors: ['portal'] } as const;
  return [
    async (door, { one }) =>
      door.present(
        await door.mint({ typ: one(['JWT', 'grant+jwt', 'logout+jwt', 'txntoken+jwt', 'dpop+jwt', 'at+jwt;v=1', '']) }),
      ),
    async (door, { one }) => {
      const typ = one(['ID', 'Refresh', 'Offline', 'Logout', 'Bearer']);
      return door.present(await door.mint({ typ: 'JWT', claims: { typ } }));
    },
    // Signed by one issuer in the name of another, or brought as what that issuer does not make.
    async (door, { one }) => {
      const by = one([realm, grants, accounts].filter((issuer) => issuer !== door.issuer));
      const kind = one([{ ...common, kind: 'provider-access' }, { ...common, kind: 'postern-access' }, grant] as const);
      const iss = one([door.issuer.entry.issuer, world.issuer]);
      return door.present(await by.mint({ ...kind, claims: { iss } }));
    },
    // A realm's token and a grant open no route.
    async (_, { one }) => {
      const token = await one([() => realm.mint(common), () => grants.mint(grant)])();
      return portal.call('/v1/policy', { headers: { authorization: `Bearer ${token}` } });
    },
    async (_, { one }) => {
      const type = one(['id_token', 'refresh_token', 'saml1', 'saml2', 'txn_token', 'Access_token', '']);
      const token = await realm.mint(common);
      return portal.exchange(token, 'auth-manager', 'grants:read', { subject_token_type: typed(type) });
    },
  ];
}

/** R1, R2: whose tenant it is. */
export function tenants({ world, job, keyProxy, portal }: Cast): Attack[] {
  return [
    async (_, { one }) => {
      const tenant = one(['acme', 'other', 'KP_1', 'kp-1', ' kp_1', 'kp_../acme', 'kp_1 ', '']);
      const secret = { audience: 'key-proxy', clientId: 'portal', scopes: ['secrets:read'] };
      const token = await world.accounts.mint({ ...secret, boundTo: portal.thumbprint, tenant });
      return keyProxy.exchange(token, 'crypto-store', 'records:read');
    },
    async (_, { one }) => {
      const tenant = one([undefined, 7, ['acme'], 'nobody', 'ACME', 'acme ', { acme: true }]);
      const grant = { kind: 'grant', audience: 'token-exchange', clientId: 'job', actors: ['job'] } as const;
      const more = { scopes: ['records:read'], boundTo: job.thumbprint, claims: { tenant } };
      return job.exchange(await world.grants.mint({ ...grant, ...more }), 'crypto-store', 'records:read');
    },
  ];
}

/** R8 and RFC 8705: a token in the hands of somebody else, or of nobody in particular. */
export function holders({ world, job, keyProxy, portal }: Cast): Attack[] {
  return [
    async (door, { one }) => door.present(await door.mint(), one([job, keyProxy])),
    async (door) => door.present(await door.mint({ claims: { cnf: undefined } })),
    async (door, { one }) => {
      const thumbprint = one([job.thumbprint, 'A'.repeat(43), portal.thumbprint.toLowerCase()]);
      return door.present(await door.mint({ boundTo: thumbprint }));
    },
    async (door) => door.present(await door.mint({ boundToKey: 'K'.repeat(43) })),
    // Shared with somebody, but not with this caller.
    async (_, { one }) => {
      const aud = ['token-exchange', one(['account', 'portal', 'key-proxy'])];
      const token = await world.realm.mint({
        audience: 'token-exchange',
        clientId: 'portal',
        roles: ['user'],
        boundTo: portal.thumbprint,
        claims: { aud },
      });
      return job.exchange(token, 'auth-manager', 'grants:use');
    },
    async (_, { one }) => {
      const grant = { kind: 'grant', audience: 'token-exchange', clientId: 'job', actors: ['job'] } as const;
      const token = await world.grants.mint({ ...grant, scopes: ['records:read'], boundTo: job.thumbprint });
      return one([portal, keyProxy]).exchange(token, 'crypto-store', 'records:read');
    },
    // Somebody else's token as the actor's.
    async (_, { one }) => {
      const ofJob = { audience: 'token-exchange', sub: 'job', clientId: 'job' };
      const actor = await world.realm.mint({ ...ofJob, boundTo: one([job.thumbprint, keyProxy.thumbprint]) });
      const subject = { audience: 'token-exchange', clientId: 'portal', roles: ['user'], boundTo: portal.thumbprint };
      const token = await world.realm.mint({ ...subject, claims: { may_act: { sub: 'job' } } });
      const acting = { actor_token: actor, actor_token_type: typed('access_token') };
      return portal.exchange(token, 'auth-manager', 'grants:read', acting);
    },
  ];
}
