import { type Postern } from '@postern/client';
import { HASH_BYTES, tilePath } from '@postern/transparency';
import { readDevelopmentState } from '../development-state.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { openPostern, subjectOf, subjectToken } from '../subject.ts';
import { logKeysIn } from './log-keys.ts';
import { entriesIn, type Log } from './verify-whole.ts';

export type LiveLog = {
  log(): Promise<Log>;
  /** An answer of a service of the stack, to the auditor. */
  get(service: string, path: string, scope: string): Promise<Buffer | null>;
  close(): Promise<void>;
};

/** A token is used for so long, which is shorter than any lives. */
const TOKEN_MS = 120_000;

/** The running stack, as its auditor sees it. */
export async function openLiveLog(folder: string, as: string): Promise<LiveLog> {
  const state = readDevelopmentState(folder);
  const subject = subjectOf(as, state);
  const postern: Postern = openPostern(state, subject.workload);
  const tokens = new Map<string, { token: string; until: number }>();

  const tokenFor = async (audience: string, scope: string): Promise<string> => {
    const known = tokens.get(audience);
    if (known && known.until > Date.now()) return known.token;
    const asked = { subjectToken: await subjectToken(state, subject, postern), audience, scopes: [scope] };
    const { accessToken: token } = await postern.exchange(asked);
    tokens.set(audience, { token, until: Date.now() + TOKEN_MS });
    return token;
  };
  const request = async (service: string, path: string, token?: string): Promise<Buffer | null> => {
    const url = new URL(path, state.urls[service]!.api);
    const answer = await postern.fetch(url, { method: 'GET', ...(token === undefined ? {} : { token }) });
    if (answer.status === 404 || answer.status === 410) return null;
    if (answer.status !== 200) {
      throw new CommandFailed(exitCodes.refused, `${service} answered ${answer.status} for ${path}`);
    }
    return Buffer.from(answer.bytes);
  };
  const get = async (service: string, path: string, scope: string) =>
    request(service, path, await tokenFor(service, scope));
  const part = async (level: number | 'entries', index: number, width: number): Promise<Buffer> =>
    (await get('audit-sink', `/v1/log/${tilePath(level, index, width)}`, 'audit:read')) ?? Buffer.alloc(0);

  return {
    get,
    close: () => postern.close(),
    async log() {
      const [checkpoint, keys] = await Promise.all([
        request('audit-sink', '/v1/log/checkpoint'),
        request('audit-sink', '/v1/log/keys'),
      ]);
      if (!checkpoint || !keys) throw new CommandFailed(exitCodes.refused, 'the log is empty');
      return {
        checkpoint: checkpoint.toString('utf8'),
        keys: logKeysIn(keys.toString('utf8')),
        source: {
          bundle: async (index, width) => entriesIn(await part('entries', index, width), index),
          async tile(level, index, width) {
            const bytes = await part(level, index, width);
            return Array.from({ length: bytes.length / HASH_BYTES }, (_, i) =>
              bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES),
            );
          },
        },
      };
    },
  };
}
