import { createHmac } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

/** Sends a request that must succeed, and answers its fields. */
export type Succeed = (
  method: string,
  path: string,
  body?: unknown,
  token?: string,
) => Promise<Record<string, unknown>>;

export type Given = {
  value: string;
  password: string;
  /** Two OpenBao: secrets move from one to the other. */
  main: { address: string; token: string };
  spare: { address: string; token: string };
  /** Where a secret is used without display. */
  useHost: string;
};

/** Routes that need another service to succeed, which this world has not: they are tried in error alone. */
export const NEED_OTHERS: ReadonlySet<string> = new Set(['GET /audit-logs', 'GET /audit-logs/{id}/receipt']);

const JOB_ENDS_WITHIN_MS = 120_000;

/**
 * A use of every route, in an order in which each succeeds, with canaries wherever a caller may put a secret.
 * @returns what was given out that must stand nowhere: tokens, the key of a factor, recovery codes
 */
export async function useEveryRoute(succeed: Succeed, given: Given): Promise<string[]> {
  const { token, secrets, bob } = await useAccounts(succeed, given);
  await useProviders(succeed, given, token);
  await useSecrets(succeed, given, token);
  await useMoves(succeed, token);
  const { password } = given;
  const issuer = ['jwks.json', 'oauth-authorization-server', 'assertion-keys.json', 'openid-configuration'];
  for (const name of issuer) await succeed('GET', `/.well-known/${name}`);
  await succeed('GET', '/v1/revocations');
  await succeed('POST', '/introspect', `token=${token}`);
  await succeed('DELETE', `/v1/accounts/${bob}/factor`, undefined, token);
  await succeed('DELETE', `/v1/accounts/${bob}`, undefined, token);
  const change = { present_password: password, new_password: `${password}-2` };
  await succeed('POST', '/v1/account/password', change, token);
  await succeed('POST', '/v1/session/logout', undefined, token);
  return secrets;
}

async function useAccounts(succeed: Succeed, { password }: Given) {
  const email = 'leaks@foods.example';
  const person = { contact_name: 'Alice Example', phone_number: '+45 12 34 56 78' };
  const company = { company_name: 'Example Foods', kms_selection: 'crypto-store', kms_credentials: {} };
  await succeed('POST', '/signup', { ...company, ...person, email, password });
  const login = await succeed('POST', '/login', { email, password });
  const session = await succeed('POST', '/v1/session/refresh', { refresh_token: login['refresh_token'] });
  const token = String(session['access_token']);
  const invite = (to: string) => succeed('POST', '/v1/invitations', { email: to, role: 'user' }, token);
  const [invited, other] = [await invite('bob@foods.example'), await invite('carol@foods.example')];
  const accepted = await succeed('POST', '/v1/accept-invitation', { token: invited['token'], ...person, password });
  await succeed('GET', '/v1/invitations', undefined, token);
  await succeed('DELETE', `/v1/invitations/${String(other['id'])}`, undefined, token);
  const hashed = { email: 'dan@foods.example', role: 'user', password_hash: `$2b$10$${'a'.repeat(53)}` };
  await succeed('POST', '/v1/import-accounts', { accounts: [hashed] }, token);
  await succeed('GET', '/v1/accounts', undefined, token);
  const bob = String(accepted['account_id']);
  await succeed('PATCH', `/v1/accounts/${bob}`, { state: 'disabled' }, token);
  const { key, uri } = await succeed('POST', '/v1/account/factor', undefined, token);
  const confirmed = await succeed('POST', '/v1/account/factor/confirm', { otp: codeOf(String(key)) }, token);
  const codes = confirmed['recovery_codes'] as string[];
  await succeed('POST', '/v1/account/factor/remove', { otp: codes[0] }, token);
  const tokens = [login, session].flatMap((one) => [one['access_token'], one['refresh_token']]);
  return { token, bob, secrets: [...tokens, invited['token'], other['token'], key, uri, ...codes].map(String) };
}

async function useProviders(succeed: Succeed, { main, spare }: Given, token: string): Promise<void> {
  for (const [name, credentials] of Object.entries({ main, spare, gone: spare }))
    await succeed('PUT', `/v1/providers/${name}`, { kind: 'openbao', credentials }, token);
  await succeed('POST', '/v1/providers/main/check', undefined, token);
  await succeed('DELETE', '/v1/providers/gone', undefined, token);
  await succeed('GET', '/v1/providers', undefined, token);
  await succeed('POST', '/configure-kms', { kms_selection: 'openbao', kms_credentials: main }, token);
  await succeed('PUT', '/v1/provider-default', { name: 'main', of: 'tenant' }, token);
}

async function useSecrets(succeed: Succeed, { value, useHost }: Given, token: string): Promise<void> {
  const secret = (method: string, path: string, body?: unknown) => succeed(method, `/v1/secrets/${path}`, body, token);
  await succeed('POST', '/create-secret', { secret_name: 'seed', secret_value: value }, token);
  await succeed('GET', '/get-all-secrets?values=true', undefined, token);
  await secret('POST', 'a', { value: { text: value }, cache_seconds: 3_600 });
  for (const query of ['', '', '?version=1']) await secret('GET', `a${query}`);
  await secret('POST', 'a/versions', { value: { text: `${value}!` } });
  await secret('POST', 'pair', { generate: { kind: 'key_pair' } });
  for (const path of ['a/versions/1/disable', 'a/versions/1/enable', 'a/disable', 'a/enable'])
    await secret('POST', path);
  await secret('GET', 'a/metadata');
  await secret('GET', 'a/versions');
  await secret('PATCH', 'a', { description: 'changed', labels: { first: 1 } });
  await secret('PUT', 'a/grants', { sub: 'somebody', verbs: ['read'] });
  await secret('GET', 'a/grants');
  await secret('DELETE', 'a/grants?sub=somebody');
  const use = { placement: { kind: 'bearer' }, methods: ['GET'], path: '/v1/*/*', answer_fields: ['version'] };
  await secret('PUT', 'a/use', { host: useHost, ...use });
  await secret('GET', 'a/use');
  await secret('POST', 'seed/copy', { name: 'b' });
  await secret('POST', 'a/use', { method: 'GET', path: '/v1/sys/health' });
  await secret('DELETE', 'a/use');
  await succeed('GET', '/v1/secrets', undefined, token);
  await secret('DELETE', 'b');
  await secret('POST', 'b/recover');
  await secret('DELETE', 'b');
  await secret('POST', 'b/destroy', { confirm: 'b' });
}

/** There, back, there again, and the rest destroyed. */
async function useMoves(succeed: Succeed, token: string): Promise<void> {
  const run = async (id: string, path: string) => {
    const started = await succeed('POST', `/v1/secret-moves/${id}/${path}`, undefined, token);
    const job = `/v1/jobs/${String(started['job'])}`;
    for (const until = performance.now() + JOB_ENDS_WITHIN_MS; performance.now() < until; await delay(200))
      if (['done', 'failed'].includes(String((await succeed('GET', job, undefined, token))['state']))) break;
    return job;
  };
  const plan = async () => {
    const { id } = await succeed('POST', '/v1/secret-moves', { from: 'main', to: 'spare' }, token);
    return String(id);
  };
  const first = await plan();
  const job = await run(first, 'start');
  await succeed('GET', `/v1/secret-moves/${first}`, undefined, token);
  await succeed('GET', `${job}/events`, undefined, token);
  await succeed('POST', `${job}/cancel`, undefined, token);
  await run(first, 'rollback');
  const again = await plan();
  await run(again, 'start');
  await run(again, 'finish');
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The code of an authenticator app now (RFC 6238, RFC 4226 section 5.3). */
function codeOf(key: string): string {
  const bits = [...key].map((letter) => BASE32.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const bytes = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const mac = createHmac('sha1', bytes).update(counter).digest();
  const at = (mac.at(-1) ?? 0) & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}
