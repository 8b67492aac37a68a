import { type Egress } from '@postern/egress';
import { type Now, problem, type Problem, Problem as ProblemError, type Secret } from '@postern/runtime';
import { textValue, valueOf, type SecretValue } from '../../secrets/secret-value.ts';
import { failed, problemOfFailure, problemOfStatus, retryAfter } from '../provider-answers.ts';
import { type Call, type SecretProvider } from '../secret-provider.ts';

export type OpenBaoOptions = {
  address: string;
  /** Where KV v2 is mounted. */
  mount: string;
  /** A namespace of OpenBao or Vault Enterprise. */
  namespace?: string;
  login: { token: Secret } | { roleId: string; secretId: Secret };
  egress: Pick<Egress, 'request'>;
  timeoutMs: number;
  now: Now;
};

type Body = Record<string, unknown>;
type Answer = { status: number; body: Body; retryAfterSeconds: number | undefined };
type Metadata = {
  current_version: number;
  custom_metadata: Record<string, string> | null;
  versions: Record<string, { deletion_time: string; destroyed: boolean }>;
};

const RENEW_AHEAD_MS = 30_000;

/**
 * OpenBao, or HashiCorp Vault: KV version 2 over its HTTP API ("KV secrets engine - version 2 (API)"). A value is the field
 * `value` of the secret's data; bytes are base64, said by the field `encoding`.
 */
export function openBaoProvider(options: OpenBaoOptions): SecretProvider {
  const { address, mount, namespace, login, egress, timeoutMs, now } = options;
  let session: { token: string; renewAt: number } | null = null;

  async function send(method: string, path: string, { signal }: Call, body?: object, token?: string): Promise<Answer> {
    try {
      const answer = await egress.request(new URL(`/v1/${path}`, address), {
        method: method as 'GET',
        headers: {
          'content-type': 'application/json',
          ...(token === undefined ? {} : { 'x-vault-token': token }),
          ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal,
        timeoutMs,
      });
      const text = Buffer.from(answer.body).toString();
      return {
        status: answer.status,
        body: bodyOf(text, answer.status),
        retryAfterSeconds: retryAfter(answer.headers.get('retry-after')),
      };
    } catch (error) {
      throw problemOfFailure(error) ?? failed(error);
    }
  }

  async function tokenNow(call: Call): Promise<string> {
    if ('token' in login) return login.token.reveal();
    if (session && session.renewAt > now().getTime()) return session.token;
    const asked = { role_id: login.roleId, secret_id: login.secretId.reveal() };
    const answer = await send('POST', 'auth/approle/login', call, asked);
    // "invalid role or secret ID" is a 400.
    if (answer.status === 400) throw problem('provider_credentials_refused');
    const { client_token: token, lease_duration: seconds } = (answerOf(answer)['auth'] ?? {}) as Body;
    if (typeof token !== 'string' || typeof seconds !== 'number') throw failed(new Error('an answer without a token'));
    session = { token, renewAt: now().getTime() + seconds * 1000 - RENEW_AHEAD_MS };
    return token;
  }

  const ask = async (method: string, path: string, call: Call, body?: object): Promise<Body> => {
    const token = await tokenNow(call);
    const answer = await send(method, path, call, body, token);
    if (answer.status === 403) {
      session = null;
      // An unknown or expired token is refused like one that policy stops; only a good one may look itself up.
      const self = await send('GET', 'auth/token/lookup-self', call, undefined, token);
      if (self.status === 403) throw problem('provider_credentials_refused');
    }
    return answerOf(answer);
  };
  const at = (what: string, reference: string, query = '') =>
    `${mount}/${what}/${reference.split('/').map(encodeURIComponent).join('/')}${query}`;
  const metadataOf = async (reference: string, call: Call) =>
    (await ask('GET', at('metadata', reference), call))['data'] as Metadata;
  const write = async (reference: string, value: SecretValue, cas: number | undefined, call: Call) => {
    const data = { value: value.content.reveal(), ...(value.type === 'binary' ? { encoding: 'base64' } : {}) };
    const body = { ...(cas === undefined ? {} : { options: { cas } }), data };
    const { version } = ((await ask('POST', at('data', reference), call, body))['data'] ?? {}) as Body;
    if (typeof version !== 'number') throw failed(new Error('an answer without a version'));
    return { version: String(version) };
  };

  return {
    kind: 'openbao',
    async create(reference, value, { tags }, call) {
      // Before the value: where these are refused nothing was written, and nothing is left behind.
      if (Object.keys(tags).length > 0) await this.tag(reference, tags, call);
      return write(reference, value, 0, call).catch((error: Problem) => {
        throw error.code === 'version_conflict' ? problem('reference_taken', { cause: error }) : error;
      });
    },
    put: (reference, value, { ifVersion }, call) =>
      write(reference, value, ifVersion === undefined ? undefined : Number(ifVersion), call),
    async read(reference, version, call) {
      const query = version === null ? '' : `?version=${encodeURIComponent(version)}`;
      const body = await ask('GET', at('data', reference, query), call).catch(async (error: unknown) => {
        const isMissing = error instanceof ProblemError && error.code === 'secret_missing';
        if (!isMissing || version === null) throw error;
        await metadataOf(reference, call);
        throw problem('version_missing', { cause: error });
      });
      const { data, metadata } = (body['data'] ?? {}) as { data?: Body | null; metadata?: Body };
      const text = data?.['value'];
      const number = metadata?.['version'];
      if (typeof text !== 'string' || typeof number !== 'number') throw failed(new Error('an answer without a value'));
      const value = data?.['encoding'] === 'base64' ? valueOf('binary', Buffer.from(text, 'base64')) : textValue(text);
      return { value, version: String(number) };
    },
    async list({ prefix, after, limit }, call) {
      // Folders end in a slash; ours hold one secret each.
      const folder = prefix.replace(/\/$/, '');
      const keysIn = async (path: string) => {
        const answer = await ask('GET', at('metadata', path, '?list=true'), call).catch(missing);
        return ((answer?.['data'] as { keys?: string[] } | undefined)?.keys ?? []).sort();
      };
      const folders = (await keysIn(folder)).filter((key) => after === null || key > after).slice(0, limit);
      const references: string[] = [];
      for (const key of folders) {
        if (!key.endsWith('/')) references.push(`${folder}/${key}`);
        else
          for (const name of await keysIn(`${folder}/${key.slice(0, -1)}`)) references.push(`${folder}/${key}${name}`);
      }
      return { references, next: folders.length === limit ? (folders.at(-1) ?? null) : null };
    },
    async describe(reference, call) {
      const found = await metadataOf(reference, call);
      const versions = Object.entries(found.versions).map(([version, { deletion_time, destroyed }]) => ({
        version,
        state: destroyed ? ('destroyed' as const) : deletion_time === '' ? ('enabled' as const) : ('disabled' as const),
      }));
      const current = versions.find(({ version }) => version === String(found.current_version));
      return {
        state: current?.state === 'enabled' ? 'live' : 'deleted',
        current: current ? current.version : null,
        versions,
        tags: found.custom_metadata ?? {},
      };
    },
    async tag(reference, tags, call) {
      await ask('POST', at('metadata', reference), call, { custom_metadata: tags });
    },
    disable: async () => unsupported(),
    enable: async () => unsupported(),
    async delete(reference, call) {
      // Only the newest version is marked, which is what a read without a version gives.
      await ask('DELETE', at('data', reference), call);
    },
    async recover(reference, call) {
      const { current_version } = await metadataOf(reference, call);
      await ask('POST', at('undelete', reference), call, { versions: [current_version] });
    },
    async destroy(reference, call) {
      await ask('DELETE', at('metadata', reference), call).catch(missing);
    },
    async check(call) {
      await ask('GET', at('metadata', 'postern', '?list=true'), call).catch(missing);
    },
    close: async () => {},
  };
}

const unsupported = () => {
  throw problem('provider_unsupported');
};

function missing(error: unknown): null {
  if (error instanceof ProblemError && error.code === 'secret_missing') return null;
  throw error;
}

/** What a server in front of it says in an error of its own is no JSON, and does not matter. */
function bodyOf(text: string, status: number): Body {
  if (text === '' || (status >= 300 && !text.startsWith('{'))) return {};
  const body: unknown = JSON.parse(text);
  if (typeof body !== 'object' || body === null) throw new TypeError('an answer that is no object');
  return body as Body;
}

/** The body of an answer. @throws Problem for a refusal ("HTTP status codes", `errors`) */
function answerOf({ status, body, retryAfterSeconds }: Answer): Body {
  if (status < 300) return body;
  const errors = Array.isArray(body['errors']) ? (body['errors'] as unknown[]).join(' ') : '';
  const cause = new Error(`OpenBao answered ${status}`);
  if (status === 404) throw problem('secret_missing', { cause });
  if (status === 400 && /check-and-set/.test(errors)) throw problem('version_conflict', { cause });
  throw problemOfStatus(status, cause, retryAfterSeconds) ?? failed(cause);
}
