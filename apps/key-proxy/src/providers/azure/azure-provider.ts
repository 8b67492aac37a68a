import { SecretClient } from '@azure/keyvault-secrets';
import { type Egress } from '@postern/egress';
import { problem, Problem } from '@postern/runtime';
import { textValue, valueOf, type SecretValue } from '../../secrets/secret-value.ts';
import { answered, failed, halfDone } from '../provider-answers.ts';
import { type Call, type Read, type SecretProvider } from '../secret-provider.ts';
import { azureProblem } from './azure-problem.ts';
import { overEgress } from './http-client.ts';
import { type AzureCredential, azureLogin } from './login.ts';

export type AzureOptions = {
  vaultUrl: string;
  tenantId: string;
  clientId: string;
  credential: AzureCredential;
  egress: Pick<Egress, 'request'>;
  timeoutMs: number;
  /** Microsoft's own login, unless a stand-in serves (tests): then the vault's address is none of Azure's domains either. */
  standIn?: { authorityHost: string };
};

const AUTHORITY = 'https://login.microsoftonline.com';
const BINARY = 'application/octet-stream;base64';
const TEXT = 'text/plain';
/** Between two looks at a deletion or a recovery that is under way. */
const POLL_MS = 250;

/** Azure Key Vault, by its own client and its own login. */
export function azureProvider(options: AzureOptions): SecretProvider {
  const { vaultUrl, tenantId, clientId, credential, egress, timeoutMs, standIn } = options;
  const pipeline = {
    httpClient: overEgress(egress, timeoutMs) as never,
    retryOptions: { maxRetries: 0 },
    authorityHost: standIn?.authorityHost ?? AUTHORITY,
    // Else the login of another cloud is looked up at Microsoft's.
    disableInstanceDiscovery: standIn !== undefined,
  };
  const login = azureLogin({ tenantId, clientId, credential }, pipeline as never);
  const client = new SecretClient(vaultUrl, login, {
    httpClient: pipeline.httpClient,
    retryOptions: pipeline.retryOptions,
    // Elsewhere a token goes only to a vault whose domain is the challenge's.
    disableChallengeResourceVerification: standIn !== undefined,
  });
  const ask = <T>({ signal }: Call, run: (abort: { abortSignal: AbortSignal }) => Promise<T>) =>
    answered(() => run({ abortSignal: signal }), azureProblem);

  const exists = async (reference: string, call: Call) => (await versionsOf(reference, call)).length > 0;
  const versionsOf = async (reference: string, call: Call) =>
    ask(call, async (abort) => {
      const versions = [];
      for await (const { version, enabled, createdOn, tags } of client.listPropertiesOfSecretVersions(reference, abort))
        versions.push({
          version: version ?? '',
          enabled: enabled !== false,
          at: createdOn?.getTime() ?? 0,
          tags: tags ?? {},
        });
      return versions.sort((a, b) => b.at - a.at);
    });
  /** The newest first. Times there are whole seconds: where the last ones share one, a read without a version tells which it is. */
  const newestFirst = async (reference: string, call: Call) => {
    const versions = await versionsOf(reference, call);
    const [first, second] = versions;
    if (!first || first.at !== second?.at) return versions;
    const current = await get(reference, null, call).then(({ properties }) => properties.version, ifDisabled);
    const isCurrent = ({ version, enabled }: (typeof versions)[number]) =>
      Number(current === null ? !enabled : version === current);
    return versions.sort((a, b) => b.at - a.at || isCurrent(b) - isCurrent(a));
  };
  const set = async (reference: string, value: SecretValue, tags: Record<string, string> | undefined, call: Call) => {
    const contentType = value.type === 'text' ? TEXT : BINARY;
    const { properties } = await ask(call, (abort) =>
      client.setSecret(reference, value.content.reveal(), { ...abort, contentType, ...(tags ? { tags } : {}) }),
    );
    return { version: versionIn(properties.version) };
  };
  const get = (reference: string, version: string | null, call: Call) =>
    ask(call, (abort) => client.getSecret(reference, { ...abort, ...(version === null ? {} : { version }) }));
  const setEnabled = async (reference: string, version: string, enabled: boolean, call: Call) => {
    await ask(call, (abort) => client.updateSecretProperties(reference, version, { ...abort, enabled }));
  };
  const deletedAt = (reference: string, call: Call) =>
    ask(call, (abort) => client.getDeletedSecret(reference, abort)).catch(missing);

  return {
    kind: 'azure',
    async create(reference, value, { tags }, call) {
      // There is no write that fails where something is: it would be the next version.
      if (await exists(reference, call)) throw problem('reference_taken');
      return set(reference, value, { ...tags }, call);
    },
    async put(reference, value, { ifVersion }, call) {
      const before = await newestFirst(reference, call);
      const [newest] = before;
      if (!newest) throw problem('secret_missing');
      if (ifVersion === undefined) return set(reference, value, newest.tags, call);
      const { properties } = await get(reference, null, call);
      if (properties.version !== ifVersion) throw problem('version_conflict');
      const written = await set(reference, value, newest.tags, call);
      const known = new Set([...before.map(({ version }) => version), written.version]);
      const after = await versionsOf(reference, call).catch(halfDone);
      if (after.every(({ version }) => known.has(version))) return written;
      // Another one was written between the two calls: ours is taken back.
      await setEnabled(reference, written.version, false, call).catch(halfDone);
      throw problem('version_conflict');
    },
    async read(reference, version, call) {
      const found = await get(reference, version, call).catch(async (error: unknown) => {
        const isMissing = error instanceof Problem && error.code === 'secret_missing';
        throw isMissing && version !== null && (await exists(reference, call)) ? problem('version_missing') : error;
      });
      return readOf(found.value, found.properties.contentType, versionIn(found.properties.version));
    },
    async list({ prefix, after, limit }, call) {
      // The client does not say where a page ends, so that each page of ours reads the list from its beginning.
      const names = await ask(call, async (abort) => {
        const all: string[] = [];
        for await (const { name } of client.listPropertiesOfSecrets(abort)) all.push(name);
        return all;
      });
      const following = names.filter((name) => name.startsWith(prefix) && (after === null || name > after)).sort();
      const references = following.slice(0, limit);
      return { references, next: following.length > limit ? (references.at(-1) ?? null) : null };
    },
    async describe(reference, call) {
      const versions = await newestFirst(reference, call);
      if (versions.length === 0) {
        if ((await deletedAt(reference, call)) === null) throw problem('secret_missing');
        return { state: 'deleted', current: null, versions: [], tags: {} };
      }
      return {
        state: 'live',
        current: versions[0]?.version ?? null,
        versions: versions.map(({ version, enabled }) => ({ version, state: enabled ? 'enabled' : 'disabled' })),
        tags: versions[0]?.tags ?? {},
      };
    },
    async tag(reference, tags, call) {
      const [newest] = await newestFirst(reference, call);
      if (!newest) throw problem('secret_missing');
      await ask(call, (abort) =>
        client.updateSecretProperties(reference, newest.version, { ...abort, tags: { ...tags } }),
      );
    },
    disable: (reference, version, call) => setEnabled(reference, version, false, call),
    enable: (reference, version, call) => setEnabled(reference, version, true, call),
    async delete(reference, call) {
      const begun = await ask(call, (abort) =>
        client.beginDeleteSecret(reference, { ...abort, intervalInMs: POLL_MS }),
      ).catch(ofLook);
      await ask(call, () => begun.pollUntilDone()).catch(halfDone);
    },
    async recover(reference, call) {
      if ((await deletedAt(reference, call)) === null && (await exists(reference, call))) return;
      const begun = await ask(call, (abort) =>
        client.beginRecoverDeletedSecret(reference, { ...abort, intervalInMs: POLL_MS }),
      ).catch(ofLook);
      await ask(call, () => begun.pollUntilDone()).catch(halfDone);
    },
    async destroy(reference, call) {
      const isThere = await exists(reference, call);
      if (isThere) await this.delete(reference, call);
      // Asked for whatever is seen there: while it is being deleted there is nothing to be seen, and it can be recovered afterwards.
      const purged = ask(call, (abort) => client.purgeDeletedSecret(reference, abort)).catch(missing);
      await (isThere ? purged.catch(halfDone) : purged);
    },
    async check(call) {
      await ask(call, (abort) => client.listPropertiesOfSecrets(abort).next());
    },
    close: async () => {},
  };
}

/** Of which version it is not told, but that it is disabled. */
function ifDisabled(error: unknown): null {
  if (error instanceof Problem && error.code === 'secret_disabled') return null;
  throw error;
}

/** The client begins with the call itself, and a first look at how far that is: what the look is answered refuses nothing. */
function ofLook(error: unknown): never {
  const { request } = ((error as Problem).cause ?? {}) as { request?: { method?: string } };
  if (request?.method === 'GET') halfDone(error);
  throw error;
}

function missing(error: unknown): null {
  if (error instanceof Problem && error.code === 'secret_missing') return null;
  throw error;
}

function readOf(value: string | undefined, contentType: string | undefined, version: string): Read {
  if (value === undefined) throw failed(new Error('an answer without a value'));
  if (contentType !== BINARY) return { value: textValue(value), version };
  return { value: valueOf('binary', Buffer.from(value, 'base64')), version };
}

function versionIn(version: string | undefined): string {
  if (!version) throw failed(new Error('an answer without a version'));
  return version;
}
