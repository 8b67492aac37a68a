import { request } from 'undici';

import { StepFailed } from './progress.ts';
import { type Home } from './state.ts';

const ANSWERS_WITHIN_MS = 2_000;

/**
 * A home is one stack's: a second would give its certificates and documents other addresses, and end at its database. It runs where the process
 * that wrote the state lives and one of its services answers; a number alone may be anybody's by now.
 * @throws StepFailed naming that process
 */
export async function refuseSecond(home: Home): Promise<void> {
  const { pid, urls } = home.readState();
  if (pid === undefined || urls === undefined || pid === process.pid || !lives(pid)) return;
  const answered = await Promise.allSettled(Object.values(urls).map(({ management }) => asked(management)));
  if (!answered.some(({ status }) => status === 'fulfilled')) return;
  throw new StepFailed('postern', `a stack runs in ${home.dir} already, as process ${pid}`, {
    remedy: `end that one (kill ${pid}), or give this one a home of its own (--home DIR)`,
  });
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function asked(management: string): Promise<void> {
  const limits = { headersTimeout: ANSWERS_WITHIN_MS, signal: AbortSignal.timeout(ANSWERS_WITHIN_MS) };
  const { body } = await request(`${management}/health/live`, limits);
  await body.dump();
}
