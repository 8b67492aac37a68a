import { SecretManagerServiceClient } from '@google-cloud/secret-manager';
import { type Egress } from '@postern/egress';
import { problem, Problem } from '@postern/runtime';
import { bytesOf, guessedValue } from '../../secrets/secret-value.ts';
import { answered, failed, halfDone, problemOfStatus, retryAfter } from '../provider-answers.ts';
import { type Call, type SecretProvider } from '../secret-provider.ts';
import { gcpProblem } from './gcp-problem.ts';

export type GcpOptions = {
  projectId: string;
  accessToken: () => Promise<string>;
  egress: Pick<Egress, 'fetch'>;
  /** Google's own, unless a stand-in serves (tests). */
  endpoint?: { host: string; port: number };
};

/** The client's calls over the one guarded way out (R35), each with our own access token: all that the client asks of its login. */
const guardedLogin = (accessToken: () => Promise<string>, egress: Pick<Egress, 'fetch'>) => ({
  universeDomain: 'googleapis.com',
  getRequestHeaders: async () => new Headers({ authorization: `Bearer ${await accessToken()}` }),
  async fetch(url: string | URL, { method, headers: given, body, signal }: RequestInit = {}) {
    const headers = new Headers(given);
    headers.set('authorization', `Bearer ${await accessToken()}`);
    const answer = await egress.fetch(url, { method, headers, body, signal });
    // Here the header is still there that says when to come again.
    const { status } = answer;
    const wait = retryAfter(answer.headers.get('retry-after'));
    if (status === 429 || status >= 500) throw problemOfStatus(status, null, wait) ?? failed(null);
    return answer;
  },
});

/** Sent once, without an end of the client's own: the call has its deadline, and the budget says what is tried again. */
const ONCE = {
  retryCodes: [],
  backoffSettings: {
    initialRetryDelayMillis: 100,
    retryDelayMultiplier: 1,
    maxRetryDelayMillis: 100,
    initialRpcTimeoutMillis: 60_000,
    rpcTimeoutMultiplier: 1,
    maxRpcTimeoutMillis: 60_000,
    totalTimeoutMillis: 60_000,
  },
};
/** Where a soft deletion of ours is written down: the versions that it disabled, so that a recovery enables those only. */
const DELETED = 'postern-deleted';
const PAGE = 250;
/** After these a write may have been made. */
const UNKNOWN = new Set(['provider_unreachable', 'provider_failed']);
/** Of a change to what somebody else changes too. */
const MOST_TRIES = 3;

/** Google Secret Manager, by its own client over REST. */
export function gcpProvider({ projectId, accessToken, egress, endpoint }: GcpOptions): SecretProvider {
  const client = new SecretManagerServiceClient({
    fallback: true,
    projectId,
    universeDomain: 'googleapis.com',
    auth: guardedLogin(accessToken, egress) as never,
    ...(endpoint ? { apiEndpoint: endpoint.host, port: endpoint.port } : {}),
  });
  const parent = `projects/${projectId}`;
  const secretAt = (reference: string) => `${parent}/secrets/${reference}`;
  const versionAt = (reference: string, version: string) => `${secretAt(reference)}/versions/${version}`;
  /** One call without the client's own retries, ended at the deadline. */
  const ask = <T>({ signal }: Call, run: (options: object) => Promise<T>): Promise<T> =>
    answered(
      () =>
        new Promise<T>((resolve, reject) => {
          const stop = () => reject(signal.reason as Error);
          if (signal.aborted) return void stop();
          signal.addEventListener('abort', stop, { once: true });
          run({ retry: ONCE })
            .then(resolve, reject)
            .finally(() => signal.removeEventListener('abort', stop));
        }),
      gcpProblem,
    );

  const add = async (reference: string, value: Parameters<SecretProvider['put']>[1], call: Call) => {
    const payload = { data: bytesOf(value) };
    const [version] = await ask(call, (options) =>
      client.addSecretVersion({ parent: secretAt(reference), payload }, options),
    );
    return nameOf(version.name);
  };
  const versionsOf = async (reference: string, call: Call) => {
    const [versions] = await ask(call, (options) =>
      client.listSecretVersions({ parent: secretAt(reference), pageSize: PAGE }, { ...options, autoPaginate: true }),
    );
    return versions.map(({ name, state }) => ({ version: nameOf(name), state: stateOf(state) }));
  };
  const newest = (versions: { version: string }[]) => Math.max(0, ...versions.map(({ version }) => Number(version)));
  const annotated = async (reference: string, call: Call) =>
    (await ask(call, (options) => client.getSecret({ name: secretAt(reference) }, options)))[0];
  const setEnabled = async (reference: string, version: string, enabled: boolean, call: Call) => {
    const name = versionAt(reference, version);
    await ask(call, async (options) =>
      enabled ? client.enableSecretVersion({ name }, options) : client.disableSecretVersion({ name }, options),
    );
  };
  /** Over what was read alone: somebody who changes the secret meanwhile fails it, and it is read again. */
  const annotate = async (
    reference: string,
    change: (annotations: Record<string, string>) => Promise<Record<string, string>>,
    call: Call,
  ) => {
    for (let tries = 1; ; tries += 1) {
      const { annotations, etag } = await annotated(reference, call);
      const secret = { name: secretAt(reference), annotations: await change(annotations ?? {}), etag: etag ?? '' };
      try {
        await ask(call, (options) => client.updateSecret({ secret, updateMask: { paths: ['annotations'] } }, options));
        return;
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== 'version_conflict' || tries === MOST_TRIES) throw error;
      }
    }
  };
  const enabledOf = async (reference: string, call: Call) =>
    (await versionsOf(reference, call)).filter(({ state }) => state === 'enabled').map(({ version }) => version);

  /** A first version that was refused leaves no secret without one behind. */
  const emptied = async (reference: string, error: unknown, call: Call): Promise<never> => {
    const isRefused = error instanceof Problem && !UNKNOWN.has(error.code);
    if (isRefused)
      await ask(call, (options) => client.deleteSecret({ name: secretAt(reference) }, options)).catch(() => {});
    throw error;
  };

  return {
    kind: 'gcp',
    async create(reference, value, { tags }, call) {
      const secret = { replication: { automatic: {} }, labels: { ...labelsOf(tags) } };
      await ask(call, (options) => client.createSecret({ parent, secretId: reference, secret }, options)).catch(
        async (error: unknown) => {
          // Made by an attempt that ended before its version: there is none.
          const made = error instanceof Problem && error.code === 'reference_taken';
          if (!made || (await versionsOf(reference, call)).length > 0) throw error;
        },
      );
      return { version: await add(reference, value, call).catch((error: unknown) => emptied(reference, error, call)) };
    },
    async put(reference, value, { ifVersion }, call) {
      if (ifVersion === undefined) return { version: await add(reference, value, call) };
      if (newest(await versionsOf(reference, call)) !== Number(ifVersion)) throw problem('version_conflict');
      const version = await add(reference, value, call);
      // Numbers have no gaps ("Add a secret version"): another one between the two was not seen.
      if (Number(version) === Number(ifVersion) + 1) return { version };
      const name = versionAt(reference, version);
      await ask(call, (options) => client.destroySecretVersion({ name }, options)).catch(halfDone);
      throw problem('version_conflict');
    },
    async read(reference, version, call) {
      const name = versionAt(reference, version ?? 'latest');
      const [answer] = await ask(call, (options) => client.accessSecretVersion({ name }, options)).catch(
        async (error: unknown) => {
          if (!(error instanceof Problem) || error.code !== 'version_missing') throw error;
          await annotated(reference, call);
          throw version === null ? problem('secret_missing', { cause: error }) : error;
        },
      );
      const data = answer.payload?.data;
      if (!(data instanceof Uint8Array)) throw failed(new Error('an answer without a value'));
      return { value: guessedValue(data), version: nameOf(answer.name) };
    },
    async list({ prefix, after, limit }, call) {
      const asked = {
        parent,
        pageSize: limit,
        filter: `name:${prefix}`,
        ...(after === null ? {} : { pageToken: after }),
      };
      const [secrets, , page] = await ask(call, (options) =>
        client.listSecrets(asked, { ...options, autoPaginate: false }),
      );
      const references = (secrets ?? []).map(({ name }) => nameOf(name)).filter((name) => name.startsWith(prefix));
      return { references, next: page?.nextPageToken ? page.nextPageToken : null };
    },
    async describe(reference, call) {
      const secret = await annotated(reference, call);
      const versions = await versionsOf(reference, call);
      const current = newest(versions);
      const isHalf = versions.some(({ state }) => state === 'enabled');
      return {
        state: secret.annotations?.[DELETED] === undefined ? 'live' : isHalf ? 'half_deleted' : 'deleted',
        current: current === 0 ? null : String(current),
        versions,
        tags: { ...secret.labels },
      };
    },
    async tag(reference, tags, call) {
      const secret = { name: secretAt(reference), labels: labelsOf(tags) };
      await ask(call, (options) => client.updateSecret({ secret, updateMask: { paths: ['labels'] } }, options));
    },
    disable: (reference, version, call) => setEnabled(reference, version, false, call),
    enable: (reference, version, call) => setEnabled(reference, version, true, call),
    async delete(reference, call) {
      const enabled = await enabledOf(reference, call);
      const noted = async (annotations: Record<string, string>) => {
        // With those that a deletion before this one has disabled, and came to no end.
        const all = new Set([...listed(annotations[DELETED]), ...enabled]);
        return { ...annotations, [DELETED]: [...all].join(',') };
      };
      await annotate(reference, noted, call);
      for (const version of enabled) await setEnabled(reference, version, false, call).catch(halfDone);
    },
    async recover(reference, call) {
      const disabled = listed((await annotated(reference, call)).annotations?.[DELETED]);
      for (const [at, version] of disabled.entries()) {
        const enabled = setEnabled(reference, version, true, call);
        await (at === 0 ? enabled : enabled.catch(halfDone));
      }
      await annotate(reference, async ({ [DELETED]: _, ...rest }) => rest, call).catch(halfDone);
    },
    async destroy(reference, call) {
      await ask(call, (options) => client.deleteSecret({ name: secretAt(reference) }, options)).catch(
        (error: unknown) => {
          if (!(error instanceof Problem) || error.code !== 'secret_missing') throw error;
        },
      );
    },
    async check(call) {
      await ask(call, (options) => client.listSecrets({ parent, pageSize: 1 }, { ...options, autoPaginate: false }));
    },
    close: () => client.close(),
  };
}

/** The versions of an annotation of ours. */
const listed = (versions: string | undefined): string[] => versions?.split(',').filter(Boolean) ?? [];

/** "Label keys must be between 1 and 63 characters long": lower case, which is all that tags here have as names. */
const labelsOf = (tags: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(tags).map(([key, value]) => [key, value.toLowerCase().replace(/[^a-z0-9_-]/g, '_')]),
  );

function nameOf(name: string | null | undefined): string {
  const last = name?.split('/').at(-1);
  if (!last) throw failed(new Error('an answer without a name'));
  return last;
}

const states = { ENABLED: 'enabled', DISABLED: 'disabled', DESTROYED: 'destroyed' } as const;
const byNumber = { 1: 'ENABLED', 2: 'DISABLED', 3: 'DESTROYED' } as const;

function stateOf(state: unknown): 'enabled' | 'disabled' | 'destroyed' {
  const named = typeof state === 'number' ? byNumber[state as 1] : (state as keyof typeof states);
  return states[named] ?? 'disabled';
}
