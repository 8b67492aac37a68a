import { setTimeout as delay } from 'node:timers/promises';
import type { Circumstances } from '../assess.ts';
import { missingFrom } from '../crashes/judge.ts';
import { openLogReader } from '../crashes/log-reader.ts';
import { auditorToken, openSession } from '../crashes/sessions.ts';
import { startTraffic, type Traffic } from '../crashes/traffic.ts';
import { seeded } from '../random.ts';
import type { Site } from './site.ts';

const WORKS_WITHIN_MS = 60_000;
const LOGGED_WITHIN_MS = 120_000;
const POLL_MS = 500;

/** Traffic for so long, once each of its operations works. */
export async function trafficFor(
  { stack, cast }: Site,
  grantId: string,
  { seed }: Circumstances,
  ms: number,
): Promise<Traffic> {
  const session = await openSession(stack, cast, grantId);
  const traffic = startTraffic({ stack, grantId, session, random: seeded(seed).fork(), pauseMs: 120 });
  try {
    await traffic.untilEachWorks(WORKS_WITHIN_MS);
    await delay(ms);
  } finally {
    await traffic.stop();
  }
  return traffic;
}

/** What the log says of it. */
export const read = async ({ stack, cast }: Site, traffic: Traffic) =>
  openLogReader(cast.portal, traffic.prefix).read(await auditorToken(stack, cast));

/** @returns what is still missing when it has had its time */
export async function untilLogged(site: Site, traffic: Traffic): Promise<string[]> {
  for (const until = performance.now() + LOGGED_WITHIN_MS; ; await delay(POLL_MS)) {
    const missing = missingFrom(await read(site, traffic), traffic);
    if (missing.length === 0 || performance.now() > until) return missing;
  }
}

/** Without the reads of the log, whose events are the log's own. */
export const sentToOthers = (traffic: Traffic): Traffic => ({
  ...traffic,
  acknowledged: new Map([...traffic.acknowledged].filter(([, { service }]) => service !== 'audit-sink')),
});
