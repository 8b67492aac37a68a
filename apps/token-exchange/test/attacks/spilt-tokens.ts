import { randomUUID } from 'node:crypto';
import { routesOn } from '@postern/http';
import { newCanary } from '@postern/testing';
import { request } from 'undici';
import { openWorld, TOKEN_EXCHANGE, type Caller } from '../token-exchange.ts';

/** What was sent, and every place that could have kept it. */
export type Spilt = {
  /** Never to be seen again: whole tokens, their claims and signatures, and words in the place of one. */
  secrets: string[];
  tried: number;
  /** With a token in the address: none may be let in. */
  inAddress: { tried: number; accepted: number };
  wrong: string[];
  /** Texts as they are; bytes of the log's events and rows as latin1. */
  places: [string, string][];
};

/**
 * Tokens and words like tokens in query, path, body and header of every route of the api and public listeners, in success and in
 * every error, with debug logging on. Where traces go is up to who starts this.
 */
export async function spillTokens(): Promise<Spilt> {
  const world = await openWorld();
  try {
    const [portal, job] = await Promise.all([world.caller('portal'), world.caller('job')]);
    const login = (roles: string[]) =>
      world.realm.mint({ audience: 'token-exchange', clientId: 'portal', roles, boundTo: portal.thumbprint });
    const subject = await login(['user', 'auditor', 'admin', 'operator']);
    const scopes = 'policy:read approvals:read approvals:decide exchanges:read tokens:revoke tenants:read';
    const exchanged = await portal.exchange(subject, 'token-exchange', scopes);
    const minted = String(exchanged.body['access_token']);
    const canary = newCanary();
    const secrets = [subject, minted].flatMap((token) => [token, ...token.split('.').slice(1)]).concat(canary);
    const inAddress = { tried: 0, accepted: 0 };
    const wrong = exchanged.status === 200 ? [] : [`no token to begin with: ${exchanged.text}`];
    let tried = 0;

    async function send(url: string, by: Caller, method: string, headers: Record<string, string>, body?: string) {
      tried += 1;
      const answer = await request(url, { dispatcher: by.agent, method: method as 'GET', headers, body: body ?? null });
      const text = await answer.body.text();
      if (answer.statusCode >= 500) wrong.push(`${method} ${url.slice(0, 80)}: ${answer.statusCode}`);
      // What is minted, and nothing else that came, is handed out.
      const shown = secrets.filter((secret) => text.includes(secret));
      if (answer.statusCode >= 400 && shown.length > 0)
        wrong.push(`${method} ${url.slice(0, 80)} shows what it was sent`);
      return answer.statusCode;
    }
    const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
    const listeners = ['api', 'public'] as const;
    for (const listener of listeners) {
      for (const route of routesOn(world.service.app, listener)) {
        const [method = 'GET', path = '/'] = route.split(' ');
        const at = `${world.urls[listener]}${path.replace(/:\w+/g, () => randomUUID())}`;
        const open = path.startsWith('/.well-known') || path === '/v1/revocations';
        const form = { 'content-type': 'application/x-www-form-urlencoded' };
        const json = { 'content-type': 'application/json' };
        for (const token of [minted, subject, canary]) {
          // A problem names a field that nobody knows, if it is as short as a name: a word is sent as a value only.
          const nameOf = (value: string) => (value === canary ? 'unknown' : encodeURIComponent(value));
          const bodied = method !== 'GET' && method !== 'DELETE';
          for (const query of [`access_token=${token}`, `token=${token}`, nameOf(token)]) {
            const status = await send(`${at}?${query}`, portal, method, {});
            inAddress.tried += 1;
            if (status < 400 && !open) inAddress.accepted += 1;
          }
          await send(`${world.urls[listener]}${path.replace(/:\w+/g, () => token)}`, portal, method, bearer(minted));
          await send(`${world.urls[listener]}/${token}`, portal, method, bearer(token));
          await send(at, portal, method, bearer(token));
          await send(at, job, method, bearer(token));
          await send(at, portal, method, { ...bearer(minted), dpop: token, prefer: token, cookie: `a=${token}` });
          await send(at, portal, method, {
            authorization: `Basic ${Buffer.from(`portal:${token}`).toString('base64')}`,
          });
          if (!bodied) continue;
          const fields = {
            subject_token: token,
            token,
            client_assertion: token,
            justification: token,
            [nameOf(token)]: token,
          };
          await send(at, portal, method, { ...form, ...bearer(minted) }, new URLSearchParams(fields).toString());
          await send(at, portal, method, { ...json, ...bearer(minted) }, JSON.stringify({ ...fields, reason: token }));
          await send(at, portal, method, { ...json, ...bearer(minted) }, `{"${token}`);
        }
      }
    }
    // In the place of an actor's token, of a subject of another type, of a target: each is refused by another rule.
    const form = { grant_type: TOKEN_EXCHANGE, subject_token: subject, audience: 'auth-manager', scope: 'grants:read' };
    const type = 'urn:ietf:params:oauth:token-type:access_token';
    for (const more of [
      { actor_token: minted, actor_token_type: type },
      { subject_token_type: minted },
      { audience: subject },
      { scope: minted },
      { resource: `https://files.example/${subject}` },
    ]) {
      tried += 1;
      await portal.post({ ...form, subject_token_type: type, ...more });
    }
    tried += 2;
    await portal.post({ token: minted }, '/introspect');
    await portal.post({ token: minted }, '/revoke');

    const metrics = await (await fetch(`${world.urls.management}/metrics`)).text();
    const rows = await world.query<{ canonical: Buffer }>('select canonical from audit_outbox');
    const tables = await world.query<{ name: string }>(
      `select table_name as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'`,
    );
    const places: [string, string][] = [
      ['log', world.logged.join('')],
      ['metrics', metrics],
      ['events', rows.map(({ canonical }) => canonical.toString('latin1')).join('\n')],
    ];
    for (const { name } of tables) {
      const found = await world.query<{ text: string }>(`select t::text as text from ${name} t`);
      places.push([`table ${name}`, found.map(({ text }) => text).join('\n')]);
    }
    return { secrets, tried, inAddress, wrong, places };
  } finally {
    await world.close();
  }
}
