import { Agent, request } from 'undici';
import { CommandFailed, exitCodes } from '../outcome.ts';

/** One version of a secret, as KV v2's metadata says. */
export type KvVersion = {
  version: number;
  createdAt: string;
  state: 'live' | 'deleted' | 'destroyed';
  endsAt: string | null;
};

export type KvSecret = {
  path: string;
  newest: number;
  /** 0: the mount's own limit. */
  maxVersions: number;
  casRequired: boolean;
  customMetadata: Readonly<Record<string, string>>;
  /** Those that KV still has, oldest first. */
  versions: readonly KvVersion[];
};

/** A KV v2 mount of Vault or OpenBao, read only. */
export type KvSource = {
  /** Every path below `folder`, depth first. */
  paths(folder: string): AsyncGenerator<string>;
  secret(path: string): Promise<KvSecret>;
  /** The data of a version, as JSON text; null where it is gone by now. */
  data(path: string, version: number): Promise<string | null>;
  close(): Promise<void>;
};

/** The token may list a secret and not read it. */
export class PathRefused extends CommandFailed {
  override readonly name = 'PathRefused';
}

type Json = Record<string, unknown>;

const LONGEST_ANSWER = 16 << 20;
const TIMEOUT_MS = 15_000;

/**
 * Opens a mount over Vault's HTTP API. https only, but for loopback.
 * @throws CommandFailed (64) for such an address; later (1, 69) what the server answers, never with a value
 */
export function openKvSource(at: {
  address: string;
  mount: string;
  token: string;
  namespace?: string;
  ca?: string;
}): KvSource {
  const base = new URL(at.address);
  const isLoopback = ['127.0.0.1', '[::1]', 'localhost'].includes(base.hostname);
  if (base.protocol !== 'https:' && !(base.protocol === 'http:' && isLoopback))
    throw new CommandFailed(exitCodes.usage, 'the address is an https URL');
  const agent = new Agent({
    connect: at.ca === undefined ? {} : { ca: at.ca },
    bodyTimeout: TIMEOUT_MS,
    headersTimeout: TIMEOUT_MS,
  });
  const headers = {
    'x-vault-token': at.token,
    'x-vault-request': 'true',
    ...(at.namespace === undefined ? {} : { 'x-vault-namespace': at.namespace }),
  };

  async function get(kind: 'data' | 'metadata', path: string, query = ''): Promise<Json | null> {
    const url = new URL(`/v1/${encoded(at.mount)}/${kind}/${encoded(path)}${query}`, base);
    const answer = await request(url, { dispatcher: agent, headers }).catch((error: { code?: string }) => {
      throw new CommandFailed(exitCodes.unreachable, `${base.origin}: ${error.code ?? 'no answer'}`);
    });
    const text = await bodyOf(answer.body as AsyncIterable<Buffer>);
    if (answer.statusCode === 404) return null;
    if (answer.statusCode !== 200) {
      const Refusal = answer.statusCode === 403 ? PathRefused : CommandFailed;
      throw new Refusal(exitCodes.refused, `${base.origin} answered ${answer.statusCode} to a read of ${kind}`);
    }
    return dataIn(text);
  }

  async function bodyOf(body: AsyncIterable<Buffer>): Promise<string> {
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of body) {
        length += chunk.length;
        if (length > LONGEST_ANSWER)
          throw new CommandFailed(exitCodes.refused, `${base.origin}: an answer is too long`);
        chunks.push(chunk);
      }
    } catch (error) {
      if (error instanceof CommandFailed) throw error;
      throw new CommandFailed(exitCodes.unreachable, `${base.origin}: an answer ended early`);
    }
    return Buffer.concat(chunks).toString('utf8');
  }

  /** The parser's own message would quote the answer. */
  function dataIn(text: string): Json {
    try {
      return (JSON.parse(text) as { data: Json }).data;
    } catch {
      throw new CommandFailed(exitCodes.refused, `${base.origin}: an answer is not JSON`);
    }
  }

  async function* paths(folder: string): AsyncGenerator<string> {
    const found = await get('metadata', folder, '?list=true');
    for (const name of (found?.['keys'] ?? []) as string[]) {
      if (name.endsWith('/')) yield* paths(`${folder}${name}`);
      else yield `${folder}${name}`;
    }
  }

  return {
    paths,
    async secret(path) {
      const found = await get('metadata', path);
      if (found === null)
        return { path, newest: 0, maxVersions: 0, casRequired: false, customMetadata: {}, versions: [] };
      return {
        path,
        newest: Number(found['current_version']),
        maxVersions: Number(found['max_versions'] ?? 0),
        casRequired: found['cas_required'] === true,
        customMetadata: (found['custom_metadata'] ?? {}) as Record<string, string>,
        versions: Object.entries((found['versions'] ?? {}) as Record<string, Json>)
          .map(([number, version]) => versionOf(Number(number), version))
          .toSorted((a, b) => a.version - b.version),
      };
    },
    async data(path, version) {
      const found = await get('data', path, `?version=${version}`);
      const data = found?.['data'] ?? null;
      return data === null ? null : JSON.stringify(data);
    },
    close: () => agent.close(),
  };
}

/** A deletion time to come is an expiry (`delete_version_after`). */
function versionOf(version: number, found: Json): KvVersion {
  const ends = String(found['deletion_time'] ?? '');
  const ended = ends !== '' && new Date(ends) <= new Date();
  return {
    version,
    createdAt: String(found['created_time']),
    state: found['destroyed'] === true ? 'destroyed' : ended ? 'deleted' : 'live',
    endsAt: ends !== '' && !ended ? ends : null,
  };
}

const encoded = (path: string): string => path.split('/').map(encodeURIComponent).join('/');
