import type { Random } from '../random.ts';
import type { Caller, Reply, World } from '../token-exchange.ts';

type Issuer = World['realm'];
export type Over = Partial<Parameters<Issuer['mint']>[0]>;

/** A place that a token is brought to, and how a sound one for it is made; `over` makes it unsound. */
export type Door = {
  issuer: Issuer;
  mint(over?: Over): Promise<string>;
  present(token: string, by?: Caller): Promise<Reply>;
};

/** Who attacks. `canary` is an address that nothing may ask. */
export type Cast = { world: World; portal: Caller; job: Caller; keyProxy: Caller; canary: string };

/** Something that must not be let in. */
export type Attack = (door: Door, random: Random) => Promise<Reply>;

/** Alice's token of the realm as a subject, and a token of key-proxy's at a route. */
export const doorsOf = ({ world, portal }: Cast): Door[] => [
  {
    issuer: world.realm,
    mint: (over = {}) =>
      world.realm.mint({
        audience: 'token-exchange',
        clientId: 'portal',
        roles: ['user'],
        boundTo: portal.thumbprint,
        ...over,
      }),
    present: (token, by = portal) => by.exchange(token, 'auth-manager', 'grants:read'),
  },
  {
    issuer: world.accounts,
    mint: (over = {}) =>
      world.accounts.mint({
        audience: 'token-exchange',
        tenant: 'kp_1',
        clientId: 'portal',
        scopes: ['policy:read'],
        boundTo: portal.thumbprint,
        ...over,
      }),
    present: (token, by = portal) => by.call('/v1/policy', { headers: { authorization: `Bearer ${token}` } }),
  },
];
