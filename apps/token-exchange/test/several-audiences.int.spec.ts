import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createTokenVerifier, fetchJwksOver } from '@postern/oidc';
import { hashClientSecret, policyDocument } from '@postern/policy';
import { profileNamed } from '@postern/profile';
import { decodeJwt } from 'jose';
import { Agent, request } from 'undici';
import {
  ACCESS_TOKEN,
  openWorld,
  policy,
  TOKEN_EXCHANGE,
  type Caller,
  type Reply,
  type World,
} from './token-exchange.ts';

/** The development policy, in which an auditor may read events for five minutes only. */
const document = policyDocument.parse({
  ...policy,
  scopes: policy.scopes.map((scope) => (scope.name === 'audit:read' ? { ...scope, longestLifeSeconds: 60 } : scope)),
});

let world: World;
let portal: Caller;
let keyProxy: Caller;

beforeAll(async () => {
  world = await openWorld({ document });
  [portal, keyProxy] = await Promise.all([world.caller('portal'), world.caller('key-proxy')]);
});
afterAll(() => world.close());

const formOf = (subject: string, audiences: string[], scope: string) =>
  new URLSearchParams([
    ['grant_type', TOKEN_EXCHANGE],
    ['subject_token', subject],
    ['subject_token_type', ACCESS_TOKEN],
    ...audiences.map((audience): [string, string] => ['audience', audience]),
    ['scope', scope],
  ]).toString();

async function asks(audiences: string[], scope: string, roles = ['user', 'auditor']): Promise<Reply> {
  const who = { audience: 'token-exchange', clientId: 'portal', roles, boundTo: portal.thumbprint };
  return portal.post(formOf(await world.realm.mint(who), audiences, scope));
}
const tokenIn = ({ body }: Reply) => String(body['access_token']);
const outcome = ({ status, body }: Reply) => `${status} ${String(body['error'] ?? 'minted')}`;

/** Whether a service takes the token from the bearer of that certificate. */
async function taken(audience: string, token: string, by = portal): Promise<string> {
  const verifier = createTokenVerifier({
    issuers: [
      {
        issuer: world.issuer,
        jwksUri: `${world.issuer}/.well-known/jwks.json`,
        kinds: ['postern-access'],
        algorithms: ['ES256'],
        scopeCeiling: 'policy',
        tenant: { claim: 'tenant' },
      },
    ],
    audience,
    kinds: ['postern-access'],
    profile: profileNamed('fedramp-moderate'),
    fetchJwks: fetchJwksOver(by.agent),
  });
  const { thumbprint: certificateThumbprint, workload } = by;
  const said = verifier.verify(token, { certificateThumbprint, workload }).then(
    () => 'taken',
    (error: { reason?: string }) => String(error.reason),
  );
  return said.finally(() => verifier.close());
}

describe('one token for several audiences (RFC 8693 section 2.1, RFC 8707)', () => {
  test('each named service takes it and no other does; row, lineage and event name all of them', async () => {
    const reply = await asks(['auth-manager', 'audit-sink'], 'grants:read audit:read');
    expect(outcome(reply)).toBe('200 minted');
    const token = tokenIn(reply);
    const claims = decodeJwt(token);
    expect(claims).toMatchObject({
      aud: ['auth-manager', 'audit-sink'],
      scope: 'grants:read audit:read',
      act: { sub: 'portal' },
      cnf: { 'x5t#S256': portal.thumbprint },
    });
    // As short as the shortest of them.
    expect(Number(claims.exp) - Number(claims.iat)).toBe(60);
    expect(await taken('auth-manager', token)).toBe('taken');
    expect(await taken('audit-sink', token)).toBe('taken');
    expect(await taken('crypto-store', token)).toBe('wrong_audience');

    const signedIn = await asks(['token-exchange'], 'exchanges:read');
    const lineage = await portal.call(`/v1/exchanges/${String(claims.jti)}`, {
      headers: { authorization: `Bearer ${tokenIn(signedIn)}` },
    });
    expect(lineage.body['exchange']).toMatchObject({
      audience: 'auth-manager',
      audiences: ['auth-manager', 'audit-sink'],
      decision: { rule: 'workloads.portal.asks.0 workloads.portal.asks.3' },
    });
    const events = await world.query<{ canonical: Buffer }>('select canonical from audit_outbox');
    const details = events
      .map(({ canonical }) => JSON.parse(canonical.toString()) as { details: Record<string, unknown> })
      .find((event) => event.details['tokenId'] === claims.jti)?.details;
    expect(details).toMatchObject({ audience: 'auth-manager', audiences: ['auth-manager', 'audit-sink'] });
  });

  test('all or nothing: what one of them refuses is refused', async () => {
    const both = ['auth-manager', 'audit-sink'];
    expect(outcome(await asks(both, 'grants:read audit:read', ['user']))).toBe('403 insufficient_scope');
    expect(outcome(await asks(both, 'grants:read'))).toBe('400 invalid_scope');
    expect(outcome(await asks(both, 'grants:read audit:read records:read'))).toBe('400 invalid_scope');
    expect(outcome(await asks([...both, 'nowhere'], 'grants:read audit:read'))).toBe('400 invalid_target');
  });

  test('a service that is named cannot use it at another one: not by its own connection, not by an exchange', async () => {
    const reply = await asks(['key-proxy', 'crypto-store'], 'secrets:read records:write');
    const token = tokenIn(reply);
    expect(await taken('crypto-store', token, keyProxy)).toBe('binding_mismatch');
    // What follows from its own scope it gets, as from a token of its own; the other's scope is not its to use.
    expect(outcome(await keyProxy.exchange(token, 'crypto-store', 'records:read'))).toBe('200 minted');
    expect(outcome(await keyProxy.exchange(token, 'crypto-store', 'records:write'))).toBe('400 invalid_scope');
    const own = tokenIn(await asks(['key-proxy'], 'secrets:read secrets:write'));
    expect(outcome(await keyProxy.exchange(own, 'crypto-store', 'records:write'))).toBe('200 minted');
  });
});

test('a token that is bound to nothing has one audience: whoever has it could use it at the other', async () => {
  const secret = 'a-client-secret-of-the-test';
  const workloads = await Promise.all(
    policy.workloads.map(async (one) =>
      one.name === 'portal'
        ? { ...one, clientSecrets: [await hashClientSecret(secret)], bearerSubjects: ['portal'] }
        : one,
    ),
  );
  const low = await openWorld({ document: { ...policy, workloads }, env: { POSTERN_PROFILE: 'fedramp-low' } });
  const agent = new Agent({ connect: { ca: await low.postgres.authority.certificate() } });
  try {
    const bearer = await low.realm.mint({ audience: 'token-exchange', clientId: 'portal', roles: ['user'] });
    const post = async (audiences: string[], scope: string) => {
      const answer = await request(`${low.urls.public}/token`, {
        dispatcher: agent,
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          authorization: `Basic ${Buffer.from(`portal:${secret}`).toString('base64')}`,
        },
        body: formOf(bearer, audiences, scope),
      });
      return (await answer.body.json()) as { error?: string; error_description?: string; scope?: string };
    };
    expect(await post(['auth-manager'], 'grants:read')).toMatchObject({ scope: 'grants:read' });
    expect(await post(['auth-manager', 'crypto-store'], 'grants:read records:read')).toEqual({
      error: 'invalid_target',
      error_description: 'A token for several audiences is bound to a key of the caller',
    });
  } finally {
    await agent.close();
    await low.close();
  }
});
