import { join } from 'node:path';

import { parseArguments, type Arguments } from './arguments.ts';
import { bold, dim, green, red, say, seconds, step, StepFailed, table, type Step } from './progress.ts';
import { refuseSecond } from './refuse-second.ts';
import { services } from './services.ts';
import { startStack, type Stack } from './stack.ts';
import { openHome, type Home } from './state.ts';
import { tail } from './service-process.ts';
import { playTour } from './tour/tour.ts';

const USAGE_ERROR = 64;
/** What shells say of a program that SIGINT ended. */
const INTERRUPTED = 130;

/** `npm start` and `npm run dev`: starts everything, plays the tour, and stays up until it is told to stop. */
export async function runStack(command: 'start' | 'dev', argv: string[]): Promise<void> {
  let wanted: Arguments;
  try {
    wanted = parseArguments(argv, command);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(USAGE_ERROR);
  }
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interruption.abort());
  process.exit(await run(wanted, interruption.signal));
}

async function run(wanted: Arguments, interrupted: AbortSignal): Promise<number> {
  const started = performance.now();
  const home = openHome(wanted.home);
  const interruption = new Promise<never>((_, reject) => {
    interrupted.addEventListener('abort', () => reject(interrupted.reason));
  });
  interruption.catch(() => {});
  // A step under way is finished, so that what it opens is known and closed; no other is begun.
  const uninterrupted: Step = async (name, part, also) => {
    interrupted.throwIfAborted();
    return step(name, part, also);
  };
  let stack: Stack | undefined;
  let complete = false;
  try {
    say(bold('\nPostern') + dim(`  data, certificates and logs in ${home.dir}\n`));
    await refuseSecond(home);
    const watched = wanted.watch ? { watch: wanted.watch } : {};
    stack = await startStack({ home, idp: wanted.idp, step: uninterrupted, ...watched });
    say(dim(`\n  everything is up after ${seconds(performance.now() - started)}; the tour:\n`));
    await Promise.race([tour(stack), stack.failed, interruption]);
    if (wanted.once) return 0;
    complete = true;
    addresses(stack);
    return await Promise.race([stack.failed, interruption]);
  } catch (error) {
    if (!interrupted.aborted) {
      report(error, home);
      return 1;
    }
    say(dim('\n  stopping …'));
    return complete ? 0 : INTERRUPTED;
  } finally {
    await stack?.close();
  }
}

async function tour(stack: Stack): Promise<void> {
  const done = await playTour(stack);
  say();
  table(
    ['step', '   ms', 'what came of it'],
    done.map(({ row, outcome, ms }) => [row, ms.toFixed(0).padStart(5), outcome]),
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
  'crypto-store': `npx postern call POST crypto-store/store --as alice --data '{"key":"greeting","payload":"hello"}'`,
  'auth-manager': 'npx postern call GET auth-manager/v1/grants --as alice',
  'key-proxy': 'npx postern call GET key-proxy/get-all-secrets --as alice',
};

/** Names the step, its log and the way out. */
function report(error: unknown, home: Home): void {
  const failed = error instanceof StepFailed ? error : new StepFailed('postern', error);
  process.stderr.write(`\n${red(`  ${failed.step} failed:`)} ${failed.message}\n`);
  if (failed.log) process.stderr.write(`  log: ${failed.log}\n${tail(failed.log).replace(/^/gm, '    ')}\n`);
  else process.stderr.write(`  logs: ${join(home.dir, 'logs')}\n`);
  const again = `start again, which keeps all data, or delete ${home.dir} to begin from nothing`;
  process.stderr.write(`  what to do: ${failed.remedy ? `${failed.remedy}; then ` : ''}${again}\n`);
}
