import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createTokenVerifier, type TokenVerifier } from '@postern/oidc';
import { profileNamed } from '@postern/profile';
import type { RunningKeycloak } from '@postern/testing/keycloak';
import { decodeJwt } from 'jose';
import { Agent, request } from 'undici';
import { ACCESS_TOKEN, openWorld, TOKEN_EXCHANGE, type World } from '../token-exchange.ts';
import { tourAtKeycloak } from '../tour-at-keycloak.ts';
import { policyByHand } from './policy-by-hand.ts';
import { CLIENT, PASSWORD, REALM, SECRET } from './realm-by-hand.ts';

/** The guide's requests as it writes them, its end-to-end test, and what comes of a realm that does not answer: `stop` ends it. */
export const guideByHand = (running: () => RunningKeycloak, stop: () => Promise<void>) => () => {
  let world: World;
  let agent: Agent;
  let issuer: string;
  const verifiers = new Map<string, TokenVerifier>();

  beforeAll(async () => {
    issuer = running().issuer(REALM);
    world = await openWorld({
      document: await policyByHand(issuer),
      realmEntry: {
        issuer,
        jwksUri: `${issuer}/protocol/openid-connect/certs`,
        kinds: ['provider-access'],
        algorithms: ['RS256'],
        scopeCeiling: 'policy',
        tenant: { fixed: 'demo' },
      },
      env: { POSTERN_PROFILE: 'fedramp-low', POSTERN_PROVIDER_ISSUER: issuer },
    });
    agent = new Agent({ connect: { ca: await world.postgres.authority.certificate() } });
  }, 120_000);
  afterAll(async () => {
    for (const verifier of verifiers.values()) verifier.close();
    await agent?.close();
    await world?.close();
  });

  type Given = { url?: string; client?: string; secret?: string; form?: Record<string, string> };
  async function post(url: string, form: Record<string, string>, basic?: { client: string; secret: string }) {
    // RFC 6749 section 2.3.1: form-encoded first.
    const pair = basic && [basic.client, basic.secret].map(encodeURIComponent).join(':');
    const encoded = pair && Buffer.from(pair).toString('base64');
    const answer = await request(url, {
      dispatcher: agent,
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        ...(encoded && { authorization: `Basic ${encoded}` }),
      },
      body: new URLSearchParams(form).toString(),
    });
    const body = (await answer.body.json()) as Record<string, unknown>;
    return { status: answer.statusCode, headers: answer.headers, body };
  }
  const atKeycloak = () => `${issuer}/protocol/openid-connect/token`;
  const atPostern = () => `${world.urls.public}/token`;

  async function login(username: string): Promise<string> {
    const credentials = {
      grant_type: 'password',
      username,
      password: PASSWORD,
      client_id: CLIENT,
      client_secret: SECRET,
    };
    const { body } = await post(atKeycloak(), { ...credentials, scope: 'openid' });
    return String(body['access_token']);
  }
  /** The guide's request, word for word. */
  const exchange = (
    subject: string,
    wanted: string,
    { url = atPostern(), client = CLIENT, secret = SECRET, form = {} }: Given = {},
  ) =>
    post(
      url,
      {
        grant_type: TOKEN_EXCHANGE,
        subject_token: subject,
        subject_token_type: ACCESS_TOKEN,
        scope: wanted,
        requested_token_type: ACCESS_TOKEN,
        ...form,
      },
      { client, secret },
    );
  const outcome = ({ status, body }: { status: number; body: Record<string, unknown> }) =>
    `${status} ${String(body['error'] ?? 'minted')}`;

  /** The protected server: which of its scopes the token has; it verifies as every service does. */
  async function scopesAt(name: string, token: string): Promise<ReadonlySet<string>> {
    let verifier = verifiers.get(name);
    if (!verifier) {
      const jwksUri = `${world.urls.public}/.well-known/jwks.json`;
      verifier = createTokenVerifier({
        issuers: [
          {
            issuer: world.issuer,
            jwksUri,
            kinds: ['postern-access'],
            algorithms: ['ES256'],
            scopeCeiling: 'policy',
            tenant: { claim: 'tenant' },
          },
        ],
        audience: name,
        kinds: ['postern-access'],
        profile: profileNamed('fedramp-low'),
        fetchJwks: async () => (await (await request(jwksUri, { dispatcher: agent })).body.json()) as never,
      });
      verifiers.set(name, verifier);
    }
    return (await verifier.verify(token, {})).scopes;
  }

  test('agent creation: a token of basic scopes opens nothing; the scope that is missing is got, and the call goes through', async () => {
    const initial = await login('alice');
    expect(String(decodeJwt(initial)['scope'] ?? '')).not.toContain('llama:');
    await expect(scopesAt('llama', initial)).rejects.toThrow();
    const reply = await exchange(initial, 'llama:agent_create');
    expect(outcome(reply)).toBe('200 minted');
    const token = String(reply.body['access_token']);
    expect([...(await scopesAt('llama', token))]).toEqual(['llama:agent_create']);
    expect(decodeJwt(token)).toMatchObject({ aud: 'llama', tenant: 'demo', client_id: CLIENT, act: { sub: 'job' } });
    // The next step asks again, from the login: what was minted never widens.
    expect(outcome(await exchange(initial, 'llama:agent_session_create llama:inference_chat_completion'))).toBe(
      '200 minted',
    );
  });

  test('tool use: mcp:list_files, with the audience named as the guide’s configuration may', async () => {
    const reply = await exchange(await login('alice'), 'mcp:list_files', { form: { audience: 'mcp' } });
    expect(outcome(reply)).toBe('200 minted');
    expect([...(await scopesAt('mcp', String(reply.body['access_token'])))]).toEqual(['mcp:list_files']);
    await expect(scopesAt('llama', String(reply.body['access_token']))).rejects.toThrow();
  });

  test.each<[string, string, Given, string, string]>([
    ['400: the scope is not defined', 'llama:nobody_knows', {}, '400 invalid_target', '400 invalid_scope'],
    [
      '400: exchange is not enabled for the client',
      'mcp:list_files',
      { client: 'portal' },
      '400 invalid_request',
      '400 invalid_request',
    ],
    [
      '401: the secret is wrong',
      'mcp:list_files',
      { secret: 'wrong' },
      '401 invalid_client',
      '401 unauthorized_client',
    ],
    ['401: no such client', 'mcp:list_files', { client: 'nobody' }, '401 invalid_client', '401 invalid_client'],
    [
      '401: the client is not confidential',
      'mcp:list_files',
      { client: 'mcp' },
      '401 invalid_client',
      '401 unauthorized_client',
    ],
  ])('troubleshooting, %s', async (_, wanted, given, postern, direct) => {
    const subject = await login('alice');
    const reply = await exchange(subject, wanted, given);
    expect(outcome(reply)).toBe(postern);
    if (reply.status === 401) expect(reply.headers['www-authenticate']).toBe('Basic realm="postern"');
    expect(outcome(await exchange(subject, wanted, { ...given, url: atKeycloak() }))).toBe(direct);
  });

  test('troubleshooting, 403: a role that the person lacks is refused here; Keycloak’s own 403 is a client outside the audience', async () => {
    expect(outcome(await exchange(await login('alice'), 'llama:models:write'))).toBe('403 insufficient_scope');
    expect(outcome(await exchange(await login('ada'), 'llama:models:write'))).toBe('200 minted');
    const stranger = { url: atKeycloak(), client: 'stranger' };
    expect(outcome(await exchange(await login('alice'), '', stranger))).toBe('403 access_denied');
  });

  test('the guide’s way at Keycloak itself: it widens as it likes, and the scope is in the token', async () => {
    const { body } = await exchange(await login('alice'), 'llama:agent_create', { url: atKeycloak() });
    const claims = decodeJwt(String(body['access_token']));
    expect(String(claims['scope']).split(' ')).toContain('llama:agent_create');
    expect([claims.aud].flat()).toContain('llama');
  });

  test('what the project’s faults were: a forged token gains nothing, a secret never comes back, ten guesses are enough', async () => {
    const [header, , signature] = (await login('alice')).split('.');
    const forged = Buffer.from(JSON.stringify({ iss: issuer, scope: 'llama:admin' })).toString('base64url');
    expect(outcome(await exchange(`${header}.${forged}.${signature}`, 'llama:agent_create'))).toBe(
      '400 invalid_request',
    );
    const seen = new Set<string>();
    for (let n = 0; n < 12; n += 1) {
      const reply = await exchange('x', 'mcp:list_files', { secret: `guess-${n}` });
      expect(JSON.stringify(reply.body)).not.toContain('guess');
      seen.add(`${reply.status}`);
    }
    expect([...seen]).toEqual(['401', '429']);
    // Who has the right secret is not kept out by who guesses.
    expect(outcome(await exchange(await login('alice'), 'mcp:list_files'))).toBe('200 minted');
    expect(world.logged.join('')).not.toContain(SECRET);
    expect(world.logged.join('\n')).not.toMatch(/eyJ[A-Za-z0-9_-]{20}/);
  });

  test('introspection and revocation by the same credentials (RFC 7662, RFC 7009)', async () => {
    const { body } = await exchange(await login('alice'), 'mcp:list_files');
    const token = { token: String(body['access_token']) };
    const credentials = { client: CLIENT, secret: SECRET };
    const introspected = await post(`${world.urls.public}/introspect`, token, credentials);
    expect(introspected.body).toMatchObject({ active: true, scope: 'mcp:list_files' });
    const another = await post(`${world.urls.public}/introspect`, token, { client: 'portal', secret: SECRET });
    expect(another.body).toEqual({ active: false });
    const answer = await request(`${world.urls.public}/revoke`, {
      dispatcher: agent,
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        // As it stands, as many clients send it.
        authorization: `Basic ${Buffer.from(`${CLIENT}:${SECRET}`).toString('base64')}`,
      },
      body: new URLSearchParams(token).toString(),
    });
    await answer.body.dump();
    expect(answer.statusCode).toBe(200);
    const deadline = Date.now() + 10_000;
    let active: unknown = true;
    while (active && Date.now() < deadline) {
      active = (await post(`${world.urls.public}/introspect`, token, credentials)).body['active'];
    }
    expect(active).toBe(false);
  });

  test('an audience outside Postern: Keycloak’s own token, held to what was asked', async () => {
    const subject = await login('alice');
    const reply = await exchange(subject, 'billing:read');
    expect(outcome(reply)).toBe('200 minted');
    const claims = decodeJwt(String(reply.body['access_token']));
    expect(claims).toMatchObject({ iss: issuer, aud: 'billing', azp: 'token-exchange', sub: decodeJwt(subject).sub });
    const [row] = await world.query<Record<string, unknown>>('select * from exchanges where token_id = $1', [
      claims.jti,
    ]);
    expect(row).toMatchObject({ token_issuer: issuer, audience: 'billing', scopes: ['billing:read'] });

    // Keycloak drops the scope in silence; here it is a refusal.
    expect(outcome(await exchange(subject, 'billing:read billing:admin'))).toBe('403 insufficient_scope');
    expect(outcome(await exchange(await login('ada'), 'billing:admin'))).toBe('200 minted');
    // A scope of the policy that the realm does not have, and one that the realm has for another audience.
    expect(outcome(await exchange(subject, 'billing:unknown'))).toBe('400 invalid_scope');
    expect(outcome(await exchange(subject, 'billing:stray'))).toBe('400 invalid_target');
    const events = await world.query<{ canonical: Buffer }>('select canonical from audit_outbox');
    const outcomes = events
      .map(({ canonical }) => JSON.parse(canonical.toString('utf8')) as { outcome: string; action: string })
      .filter(({ action }) => action === 'token.exchanged');
    expect(outcomes.filter(({ outcome: one }) => one === 'intent')).toHaveLength(5);
  });

  tourAtKeycloak(running);

  test('Keycloak is down: what is minted here goes on with the keys that are held, its own exchange is 503', async () => {
    const subject = await login('alice');
    await stop();
    expect(outcome(await exchange(subject, 'mcp:list_files'))).toBe('200 minted');
    expect(outcome(await exchange(subject, 'billing:read'))).toBe('503 temporarily_unavailable');
  });
};
