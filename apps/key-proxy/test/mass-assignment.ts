import { randomUUID } from 'node:crypto';
import { accepting, password } from './company.ts';
import { signUpBody } from './world.ts';

export type Assigning = {
  /** As a route is declared. */
  route: string;
  path: string;
  body: Record<string, unknown>;
  /** Objects inside the body that take no other field either: the way to each. */
  inside?: readonly (readonly (string | number)[])[];
  /** Sent without a token. */
  anyone?: true;
};

/** What nobody may say of themselves, of another or of a secret: the server gives it, or the caller's token does. */
export const ASSIGNED: Readonly<Record<string, unknown>> = {
  role: 'admin',
  roles: ['admin'],
  is_admin: true,
  scope: 'secrets:configure secrets:audit',
  tenant: 'acme',
  company: 'acme',
  company_id: 'acme',
  id: randomUUID(),
  account_id: randomUUID(),
  sub: 'alice',
  owner: 'alice',
  owner_sub: 'alice',
  issuer: 'https://issuer.example',
  state: 'active',
  reference: 'another-reference',
  generation: 1,
  version: 7,
  created_at: '2020-01-01T00:00:00Z',
  password_hash: 'plain',
  constructor: { role: 'admin' },
  ['__proto__']: { role: 'admin' },
};

const use = { host: 'api.example.com', placement: { kind: 'bearer' }, methods: ['GET'], path: '/v1' };
const VALUE = { value: { text: 'a value' } };

/** A body that each route which takes one would take, of an administrator of a company with the secret `mine`. */
export const bodies = (invitation: string): Assigning[] => [
  {
    route: 'POST /signup',
    path: '/signup',
    body: signUpBody('assigned@foods.example'),
    inside: [['kms_credentials']],
    anyone: true,
  },
  { route: 'POST /login', path: '/login', body: { email: 'boss@assign.example', password }, anyone: true },
  {
    route: 'POST /configure-kms',
    path: '/configure-kms',
    body: { kms_selection: 'crypto-store', kms_credentials: {} },
    inside: [['kms_credentials']],
  },
  { route: 'POST /create-secret', path: '/create-secret', body: { secret_name: 'seed', secret_value: 'a value' } },
  {
    route: 'POST /v1/session/refresh',
    path: '/v1/session/refresh',
    body: { refresh_token: 'none' },
    anyone: true,
  },
  {
    route: 'POST /v1/account/password',
    path: '/v1/account/password',
    body: { present_password: password, new_password: 'another long password' },
  },
  { route: 'POST /v1/account/factor/confirm', path: '/v1/account/factor/confirm', body: { otp: '123456' } },
  { route: 'POST /v1/account/factor/remove', path: '/v1/account/factor/remove', body: { otp: '123456' } },
  { route: 'POST /v1/invitations', path: '/v1/invitations', body: { email: 'bob@assign.example', role: 'user' } },
  {
    route: 'POST /v1/accept-invitation',
    path: '/v1/accept-invitation',
    body: accepting(invitation),
    anyone: true,
  },
  {
    route: 'PATCH /v1/accounts/:id',
    path: `/v1/accounts/${randomUUID()}`,
    body: { role: 'user', state: 'active' },
  },
  {
    route: 'POST /v1/import-accounts',
    path: '/v1/import-accounts',
    body: {
      accounts: [
        {
          email: 'c@assign.example',
          role: 'user',
          password_hash: `$2b$10$${'a'.repeat(53)}`,
        },
      ],
    },
    inside: [['accounts', 0]],
  },
  {
    route: 'PUT /v1/providers/:name',
    path: '/v1/providers/main',
    body: { kind: 'openbao', credentials: { address: 'https://vault.example', token: 't' } },
    inside: [['credentials']],
  },
  { route: 'PUT /v1/provider-default', path: '/v1/provider-default', body: { name: 'crypto-store', of: 'me' } },
  { route: 'POST /v1/secrets/:name', path: '/v1/secrets/new', body: VALUE, inside: [['value']] },
  {
    route: 'POST /v1/secrets/:name/versions',
    path: '/v1/secrets/mine/versions',
    body: { generate: { kind: 'random' } },
    inside: [['generate']],
  },
  { route: 'PATCH /v1/secrets/:name', path: '/v1/secrets/mine', body: { description: 'changed' } },
  {
    route: 'PUT /v1/secrets/:name/grants',
    path: '/v1/secrets/mine/grants',
    body: { sub: 'bob', issuer: 'https://issuer.example', verbs: ['read'] },
  },
  { route: 'PUT /v1/secrets/:name/use', path: '/v1/secrets/mine/use', body: use, inside: [['placement']] },
  { route: 'POST /v1/secrets/:name/use', path: '/v1/secrets/mine/use', body: { method: 'GET', path: '/v1' } },
  { route: 'POST /v1/secrets/:name/copy', path: '/v1/secrets/mine/copy', body: { name: 'copied' } },
  { route: 'POST /v1/secrets/:name/destroy', path: '/v1/secrets/mine/destroy', body: { confirm: 'mine' } },
  { route: 'POST /v1/secret-moves', path: '/v1/secret-moves', body: { from: 'crypto-store', to: 'main' } },
];

/** The body with one field more, in it and in each object inside that takes none. */
export function assignedTo({ body, inside = [] }: Assigning): { field: string; body: object }[] {
  return [[], ...inside].flatMap((way) =>
    Object.entries(ASSIGNED).flatMap(([field, value]) => {
      const copy = structuredClone(body);
      const at = way.reduce<Record<string, unknown>>((object, name) => object[name] as Record<string, unknown>, copy);
      if (Object.hasOwn(at, field)) return [];
      Object.defineProperty(at, field, { value, enumerable: true });
      return [{ field: ['body', ...way, field].join('.'), body: copy }];
    }),
  );
}
