import { parseArguments, type Arguments } from './arguments.ts';
import { bold, dim, green, red, say, seconds, StepFailed, table } from './progress.ts';
import { services } from './services.ts';
import { startStack, type Stack } from './stack.ts';
import { openHome } from './state.ts';
import { tail } from './service-process.ts';
import { playTour } from './tour/tour.ts';

const USAGE_ERROR = 64;

/** `npm start` and `npm run dev`: starts everything, plays the tour, and stays up until it is told to stop. */
export async function runStack(command: 'start' | 'dev', argv: string[]): Promise<void> {
  let wanted: Arguments;
  try {
    wanted = parseArguments(argv, command);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(USAGE_ERROR);
  }
  const interrupted = new Promise<'interrupted'>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve('interrupted'));
  });
  process.exit(await run(wanted, interrupted));
}

async function run(wanted: Arguments, interrupted: Promise<'interrupted'>): Promise<number> {
  const started = performance.now();
  const home = openHome(wanted.home);
  let stack: Stack | undefined;
  try {
    say(bold('\nPostern') + dim(`  data, certificates and logs in ${home.dir}\n`));
    stack = await startStack({ home, idp: wanted.idp, ...(wanted.watch ? { watch: wanted.watch } : {}) });
    say(dim(`\n  everything is up after ${seconds(performance.now() - started)}; the tour:\n`));
    await tour(stack);
    if (wanted.once) return 0;
    addresses(stack);
    const end = await Promise.race([interrupted, stack.failed]);
    if (end === 'interrupted') say(dim('\n  stopping …'));
    return 0;
  } catch (error) {
    report(error);
    return 1;
  } finally {
    await stack?.close();
  }
}

async function tour(stack: Stack): Promise<void> {
  const done = await playTour(stack);
  say();
  table(
    ['step', 'what came of it', 'ms'],
    done.map(({ row, outcome, ms }) => [row, outcome, ms.toFixed(0).padStart(5)]),
  );
  say(green(`\n  the tour is complete: ${done.length} of ${done.length} steps`));
}

function addresses({ state }: Stack): void {
  say(bold('\n  Documentation of each service, and a call to try in another terminal\n'));
  table(
    ['service', 'docs', 'try'],
    services.map((service) => [service, `${state.urls[service].management}/docs`, tries[service]]),
  );
  say(dim('\n  Ctrl-C stops everything; the data stay for the next start.'));
}

const tries: Record<(typeof services)[number], string> = {
  'token-exchange': 'npx postern token --as alice --audience crypto-store --scope records:read',
  'audit-sink': 'npx postern call GET audit-sink/v1/events --as audrey',
  'crypto-store': 'npx postern call GET crypto-store/retrieve/no-such-record --as alice',
  'auth-manager': 'npx postern call GET auth-manager/v1/grants --as alice',
  'key-proxy': 'npx postern call GET key-proxy/get-all-secrets --as alice',
};

/** Names the step, its log and the way out. */
function report(error: unknown): void {
  const failed = error instanceof StepFailed ? error : new StepFailed('postern', error);
  process.stderr.write(`\n${red(`  ${failed.step} failed:`)} ${failed.message}\n`);
  if (failed.log) process.stderr.write(`  log: ${failed.log}\n${tail(failed.log).replace(/^/gm, '    ')}\n`);
  if (failed.remedy) process.stderr.write(`  what to do: ${failed.remedy}\n`);
}
