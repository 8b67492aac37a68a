import { fileURLToPath } from 'node:url';
import { type Case, type Scale } from '../assess.ts';
import { runProgram } from './run-program.ts';

const program = fileURLToPath(new URL('../../../../apps/token-exchange/test/ceilings.ts', import.meta.url));

const EXCHANGES: Record<Scale, number> = { small: 500, default: 10_000, full: 100_000 };

type Outcome = {
  exchanges: { tried: number; granted: number; refused: number; ways: Record<string, number>; wrong: string[] };
  grants: { tried: number; taken: number; wrong: string[] };
};

/**
 * token-exchange on a real Postgres over mutual TLS, and subjects of every kind with random holders, clients, roles, scopes,
 * actors, logins and handles, brought by random workloads that ask for whatever, for one audience or several. What may come of it
 * stands in a model that shares no code with the service. Then as many answers of an identity provider, put together from
 * parts that are right or wrong.
 */
export const exchangeCeilings: Case = {
  name: 'exchange/ceilings',
  guarantee: 'no random exchange gives more than policy and subject allow, and none refuses what they do (R7, R8)',
  async run({ scale, seed, say }) {
    const tries = EXCHANGES[scale];
    const { exchanges, grants } = await runProgram<Outcome>(program, { numbers: [tries, seed % 2 ** 31] });
    const { tried, granted, refused, ways, wrong } = exchanges;
    if (scale !== 'small') {
      const among = Object.entries(ways).map(([way, times]) => `${way} ${times}`);
      say(
        `${tried} exchanges tried, ${granted} accepted (${among.join(', ')}), ${refused} refused, outside the ceiling ${wrong.length}`,
      );
      say(`${grants.tried} answers of a provider, ${grants.taken} accepted, wrongly judged ${grants.wrong.length}`);
    }
    const idle = [
      ...(granted < tried / 50 ? ['hardly anything was granted'] : []),
      ...(scale === 'small' ? [] : Object.keys(ways).filter((way) => ways[way] === 0)).map((way) => `never: ${way}`),
    ];
    return { tried: tried + grants.tried, failed: [...wrong, ...grants.wrong, ...idle], lost: [] };
  },
};
