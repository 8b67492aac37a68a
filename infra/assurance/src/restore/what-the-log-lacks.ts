import { setTimeout as delay } from 'node:timers/promises';
import { auditorToken } from '../crashes/sessions.ts';
import type { Site } from './site.ts';

const SAID_WITHIN_MS = 120_000;
const POLL_MS = 500;

type Wanted = { producer: string; entries: number };
export const others = ({ producer }: Wanted) => producer !== 'audit-sink';

/** How many events of `whom` the log says it lacks, once that `is` so or it has had its time. */
export async function untilWanted(
  { stack, cast }: Site,
  is: (count: number) => boolean,
  whom: (one: Wanted) => boolean = () => true,
): Promise<number> {
  const url = `${stack.state.urls['audit-sink'].api}/v1/log/producers`;
  for (const until = performance.now() + SAID_WITHIN_MS; ; await delay(POLL_MS)) {
    const { body } = await cast.portal.fetch(url, { method: 'GET', token: await auditorToken(stack, cast) });
    const { wanted = [] } = JSON.parse(body) as { wanted?: Wanted[] };
    const count = wanted.filter(whom).reduce((sum, { entries }) => sum + entries, 0);
    if (is(count) || performance.now() > until) return count;
  }
}

/** Gives up what is still wanted, as the operator does: by the size that the log names. */
export async function giveUp(site: Site): Promise<void> {
  const { stack } = site;
  const size = await publishedSize(site);
  await stack.stop('audit-sink');
  await stack.start('audit-sink', { POSTERN_AUDIT_ACCEPT_LOSS: size });
  const left = await untilWanted(site, (count) => count === 0);
  if (left > 0) throw new Error(`the log of ${size} still waits for ${left} events that were given up`);
}

/** The size of the log that is published: what it names when it asks what to give up. */
async function publishedSize({ stack, cast }: Site): Promise<string> {
  const { body } = await cast.portal.fetch(`${stack.state.urls['audit-sink'].api}/v1/log/checkpoint`, {
    method: 'GET',
  });
  return body.split('\n')[1] ?? '';
}
