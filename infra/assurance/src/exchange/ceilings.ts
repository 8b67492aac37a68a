import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Case, type Scale } from '../assess.ts';

const run = promisify(execFile);
const program = fileURLToPath(new URL('../../../../apps/token-exchange/test/ceilings.ts', import.meta.url));

const EXCHANGES: Record<Scale, number> = { small: 500, default: 10_000, full: 100_000 };
const HOUR_MS = 3_600_000;

type Outcome = { tried: number; granted: number; refused: number; wrong: string[] };

/**
 * token-exchange on a real Postgres over mutual TLS, and subjects of every kind with random holders, clients, roles, scopes,
 * actors and handles, brought by random workloads that ask for whatever. What may come of it stands in a model that shares no
 * code with the service.
 */
export const exchangeCeilings: Case = {
  name: 'exchange/ceilings',
  guarantee: 'no random exchange gives more than policy and subject allow, and none refuses what they do (R7, R8)',
  async run({ scale, seed, say }) {
    const exchanges = EXCHANGES[scale];
    const { stdout } = await run(process.execPath, [program, String(exchanges), String(seed % 2 ** 31)], {
      maxBuffer: 64 * 1024 * 1024,
      timeout: HOUR_MS,
    });
    const { tried, granted, refused, wrong } = JSON.parse(stdout) as Outcome;
    if (scale !== 'small')
      say(`${tried} tried, ${granted} accepted, ${refused} refused, outside the ceiling ${wrong.length}`);
    const idle = granted < tried / 50 ? ['hardly anything was granted'] : [];
    return { tried, failed: [...wrong, ...idle], lost: [] };
  },
};
