import { type Postern, PosternError, type RecordValue } from '@postern/client';
import { problem, type Problem, Secret } from '@postern/runtime';
import { refusedToken } from '../refused-token.ts';
import { bytesOf, valueOf, type SecretValue } from '../secrets/secret-value.ts';
import { failed } from './provider-answers.ts';
import { type StoreTokens } from './sealed-token.ts';
import { type Call, type Read, type SecretProvider } from './secret-provider.ts';

type Records = Postern['records'];

const BATCH = 100;

/** A caller's token for crypto-store, as it is exchanged for them (R5). @throws Problem of the provider port */
export const storeTokens =
  (postern: Pick<Postern, 'exchange'>): StoreTokens['storeToken'] =>
  async (subjectToken, scopes) => {
    const asked = { subjectToken: subjectToken.reveal(), audience: 'crypto-store', scopes };
    return new Secret((await translated(postern.exchange(asked))).accessToken);
  };

/**
 * Postern's own store. crypto-store trusts this service for no tenant (R5): each call carries a token that token-exchange
 * minted for this very caller, and lands in the namespace that crypto-store keeps for this workload.
 */
export function cryptoStoreProvider(records: Records): SecretProvider {
  const as = ({ by, signal }: Call) => {
    if (!by) throw problem('provider_forbidden', { detail: 'crypto-store is reached with a caller’s token only' });
    return 'token' in by ? { token: by.token.reveal(), signal } : { subjectToken: by.subjectToken.reveal(), signal };
  };
  const write = async (
    reference: string,
    value: SecretValue,
    call: Call,
    match: { ifMatch: string } | { ifNoneMatch: string } | { idempotencyKey: string },
  ) => {
    const bytes = bytesOf(value);
    const payload = value.type === 'text' ? bytes.toString('utf8') : bytes;
    const { version } = await translated(records.put(reference, payload, as(call), match));
    return { version: String(version) };
  };
  const latest = async (reference: string, call: Call) =>
    (await translated(records.versions(reference, as(call)))).versions.find(({ state }) => state === 'live');

  return {
    kind: 'crypto-store',
    async create(reference, value, { attempt }, call) {
      try {
        return await write(reference, value, call, { ifNoneMatch: '*', idempotencyKey: attempt });
      } catch (error) {
        throw isConflict(error) ? problem('reference_taken', { cause: error }) : error;
      }
    },
    async put(reference, value, { attempt, ifVersion }, call) {
      if (ifVersion === undefined) return write(reference, value, call, { idempotencyKey: attempt });
      const newest = await latest(reference, call);
      if (!newest) throw problem('secret_missing');
      if (String(newest.version) !== ifVersion) throw problem('version_conflict');
      return write(reference, value, call, { ifMatch: newest.etag });
    },
    async read(reference, version, call) {
      const asked = version === null ? {} : { version: Number(version) };
      try {
        return readOf(await translated(records.get(reference, as(call), asked)));
      } catch (error) {
        if (version === null || !isMissing(error)) throw error;
        await translated(records.versions(reference, as(call)));
        throw problem('version_missing', { cause: error });
      }
    },
    async readMany(references, call) {
      const found = new Map<string, Read | Error>();
      for (let from = 0; from < references.length; from += BATCH) {
        const keys = references.slice(from, from + BATCH);
        const operations = keys.map((key) => ({ op: 'get' as const, key }));
        const results = await translated(records.batch(operations, as(call)));
        for (const { key, status, code, type, payload, version } of results) {
          if (status !== 200 || !payload || version === undefined) {
            found.set(key, problemOf(new PosternError('crypto-store', code ?? 'unexpected_answer', { status })));
            continue;
          }
          const bytes = 'text' in payload ? Buffer.from(payload.text) : Buffer.from(payload.base64, 'base64');
          found.set(key, { value: valueOf(typeOf(type), bytes), version: String(version) });
        }
      }
      return found;
    },
    async list({ prefix, after, limit }, call) {
      const page = await translated(
        records.list({ prefix, limit, ...(after === null ? {} : { cursor: after }) }, as(call)),
      );
      return { references: page.records.map(({ key }) => key), next: page.next };
    },
    async describe(reference, call) {
      const { versions } = await translated(records.versions(reference, as(call)));
      const current = versions.find(({ state }) => state === 'live');
      return {
        state: current ? 'live' : 'deleted',
        current: current ? String(current.version) : null,
        versions: versions.map(({ version, state }) => ({
          version: String(version),
          state: state === 'live' ? 'enabled' : state === 'destroyed' ? 'destroyed' : 'disabled',
        })),
        tags: {},
      };
    },
    tag: async () => unsupported(),
    disable: async () => unsupported(),
    enable: async () => unsupported(),
    delete: (reference, call) => translated(records.delete(reference, as(call))),
    async recover(reference, call) {
      await translated(records.undelete(reference, as(call)));
    },
    async destroy(reference, call) {
      await translated(records.destroy(reference, { all: true }, as(call))).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
      });
    },
    async check(call) {
      await translated(records.list({ limit: 1 }, as(call)));
    },
    close: async () => {},
  };
}

const unsupported = () => {
  throw problem('provider_unsupported');
};
const typeOf = (type: RecordValue['type'] | undefined) => (type === 'application/octet-stream' ? 'binary' : 'text');
const readOf = ({ type, bytes, version }: RecordValue): Read => ({
  value: valueOf(typeOf(type), bytes),
  version: String(version),
});
const codeOf = (error: unknown) => (error as { code?: string }).code;
const isMissing = (error: unknown) => codeOf(error) === 'secret_missing';
const isConflict = (error: unknown) => codeOf(error) === 'version_conflict';

async function translated<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw error instanceof PosternError ? problemOf(error) : failed(error);
  }
}

/** Which of the contract's failures an answer is; the caller learns that, the log keeps the error itself. */
function problemOf(cause: PosternError): Problem {
  const { status, code, retryAfterSeconds } = cause;
  if (code === 'record_not_found') return problem('secret_missing', { cause });
  if (code === 'precondition_failed') return problem('version_conflict', { cause });
  if (status === 413) return problem('value_too_large', { cause });
  if (status === 429) return problem('provider_throttled', { cause, retryAfterSeconds: retryAfterSeconds ?? 2 });
  const noAnswer = status === undefined ? code !== 'unexpected_answer' && code !== 'answer_too_large' : status >= 500;
  if (noAnswer) return problem('provider_unreachable', { cause, retryAfterSeconds: retryAfterSeconds ?? 2 });
  const ended = refusedToken(cause);
  if (ended) return ended;
  if (status === 401) return problem('provider_credentials_refused', { cause });
  // token-exchange tells a refusal by policy as an OAuth error, RFC 6749 section 5.2 and RFC 8693 section 2.2.2.
  const byPolicy = ['invalid_target', 'invalid_scope', 'invalid_grant', 'access_denied', 'unauthorized_client'];
  if (status === 403 || byPolicy.includes(code)) return problem('provider_forbidden', { cause });
  return problem('provider_failed', { cause });
}
