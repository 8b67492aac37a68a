import { fileURLToPath } from 'node:url';
import { leaksOf } from '@postern/testing';
import { type Case } from '../assess.ts';
import { openTraceCollector } from '../store/traces.ts';
import { runProgram } from './run-program.ts';

const program = fileURLToPath(new URL('../../../../apps/token-exchange/test/attacks/spilt-main.ts', import.meta.url));
const tracing = new URL('../../../../libs/runtime/src/otel.ts', import.meta.url).href;

type Outcome = {
  secrets: string[];
  tried: number;
  inAddress: { tried: number; accepted: number };
  wrong: string[];
  places: [string, string][];
};

/** Real tokens and words in their place go into query, path, body and headers of every route, with debug logging and tracing on. */
export const spiltTokens: Case = {
  name: 'exchange/spilt-tokens',
  guarantee: 'no token stands in a log, trace, metric, event or row, and none in an address is accepted',
  async run({ say }) {
    const traces = await openTraceCollector();
    try {
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: traces.endpoint, OTEL_BSP_SCHEDULE_DELAY: '200' };
      const { secrets, tried, inAddress, wrong, places } = await runProgram<Outcome>(program, {
        imports: [tracing],
        env,
      });
      const looked = new Map([...places, ['traces', traces.text()] as const]);
      const found = [...looked].flatMap(([place, text]) => secrets.flatMap((secret) => leaksOf(secret, place, text)));
      say(`${tried} requests, ${looked.size} places looked at: ${found.length} found`);
      say(`tokens in an address: ${inAddress.tried} tried, ${inAddress.accepted} accepted`);
      const accepted = inAddress.accepted > 0 ? [`${inAddress.accepted} tokens in an address were accepted`] : [];
      // A leak is told by its place: the token itself belongs into no report.
      const leaks = found.map((leak) => `a token stands in ${leak.split(': ')[0]}`);
      return { tried, failed: [...wrong, ...blindSpots(looked), ...accepted, ...leaks], lost: [] };
    } finally {
      await traces.close();
    }
  },
};

/** What must be there to be looked at, or the search showed nothing. */
function blindSpots(places: ReadonlyMap<string, string>): string[] {
  const seen: [string, string][] = [
    ['log', 'POST /token'],
    ['traces', '/v1/exchanges/:id'],
    ['metrics', '/v1/exchanges/:id'],
    ['events', 'token.exchanged'],
    ['table exchanges', 'token-exchange'],
  ];
  return seen
    .filter(([place, text]) => !places.get(place)?.includes(text))
    .map(([place]) => `${place} has nothing in it`);
}
