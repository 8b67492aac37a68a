import {
  consent,
  openCast,
  openHome,
  quietly,
  startReplicatedStack,
  type Cast,
  type Certificates,
  type ReplicatedStack,
  type Service,
} from '@postern/dev';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { holds, type Case, type Circumstances, type Findings, type Scale } from '../assess.ts';
import { misrecorded, missingFrom } from '../crashes/judge.ts';
import { openLogReader, type Recorded } from '../crashes/log-reader.ts';
import { auditorToken, openSession } from '../crashes/sessions.ts';
import { seeded } from '../random.ts';
import { changingAuthorities } from './authorities.ts';
import { events, type Event, type Site } from './events.ts';
import { checkOut } from './release.ts';
import { agentOver, startLoad, type Callers, type Counts, type Load } from './load.ts';

/** Replicas: all five services three times want more than two cores. */
const replicas: Record<Scale, Record<Service, number>> = {
  small: { 'crypto-store': 2, 'audit-sink': 2, 'token-exchange': 2, 'auth-manager': 2, 'key-proxy': 2 },
  default: { 'crypto-store': 3, 'audit-sink': 3, 'token-exchange': 2, 'auth-manager': 2, 'key-proxy': 2 },
  full: { 'crypto-store': 3, 'audit-sink': 3, 'token-exchange': 3, 'auth-manager': 3, 'key-proxy': 3 },
};
const kills: Record<Scale, number> = { small: 2, default: 6, full: 30 };
/** The longest wait between two operations of one caller, in milliseconds. */
const pauseMs: Record<Scale, number> = { small: 120, default: 60, full: 5 };
/** Load before the first event and after each, in milliseconds. */
const CALM_MS = 2_000;
/** Tokens live five minutes, and an event may last longer on a busy machine. */
const RENEW_EVERY_MS = 120_000;
const LOGGED_WITHIN_MS = 120_000;
const POLL_MS = 1_000;

export const manyReplicas: Case = {
  name: 'stack/replicas',
  guarantee:
    'replicas are restarted, replaced, killed and given new certificates, and the stores fail over, unseen by callers',
  async run(circumstances) {
    const { scale, say, from } = circumstances;
    const happening = chosen(circumstances.only);
    const home = openHome(mkdtempSync(join(tmpdir(), 'postern-assurance-')));
    const authorities = changingAuthorities(home.dir);
    let findings: Findings | undefined;
    try {
      const before: { sources?: string } =
        from === undefined ? {} : { sources: checkOut(from, home.place('release', 'before')) };
      const replicated = await startReplicatedStack({
        home,
        authorities,
        replicas: replicas[scale],
        step: quietly,
        ...before,
      });
      try {
        say(
          `replicas: ${Object.entries(replicas[scale])
            .map(([service, n]) => `${n} ${service}`)
            .join(', ')}`,
        );
        const random = seeded(circumstances.seed).fork();
        const release = before.sources === undefined ? {} : { release: before.sources };
        const site = { home, replicated, authorities, random, kills: kills[scale], ...release };
        findings = await underEvents(site, happening, circumstances);
        return findings;
      } finally {
        await replicated.close();
      }
    } finally {
      if (findings && holds(findings)) rmSync(home.dir, { recursive: true, force: true });
      else say(`databases and logs are kept in ${home.dir}`);
    }
  },
};

/** The events whose name holds this word; all without one. @throws naming them where none does */
function chosen(word: string | undefined): readonly Event[] {
  const named = events.filter(({ name }) => word === undefined || name.includes(word));
  if (named.length > 0) return named;
  throw new TypeError(`no event is called ${word}; there are: ${events.map(({ name }) => name).join(', ')}`);
}

async function underEvents(
  at: Omit<Site, 'renew'>,
  happening: readonly Event[],
  { scale, seed, say }: Circumstances,
): Promise<Findings> {
  const { replicated } = at;
  const { stack } = replicated;
  const first = openCast(stack.state, stack.certificates);
  const { grant: grantId } = await consent(
    stack.state,
    first,
    stack.certificates.of.portal.ca,
    async (_row, play) => (await play()).value,
  );
  let cast = first;
  const callersOf = async (certificates: Certificates, as: Cast): Promise<Callers> => ({
    session: await openSession({ ...stack, certificates }, as, grantId),
    agents: { job: agentOver(certificates.of.job), portal: agentOver(certificates.of.portal) },
  });
  let held = stack.certificates;
  const callers = await callersOf(held, cast);
  const load = startLoad({ stack, grantId, callers, random: seeded(seed), pauseMs: pauseMs[scale] });
  const site: Site = {
    ...at,
    async renew(certificates) {
      const before = cast;
      held = certificates;
      cast = openCast(stack.state, certificates);
      load.renew(await callersOf(certificates, cast));
      await before.close();
    },
  };
  // A client keeps its login, and what it exchanged, until they end: new tokens want a new one.
  const renew = async () => {
    const given = held;
    const [before, next] = [cast, openCast(stack.state, given)];
    const callers = await callersOf(given, next).catch(async (error: unknown) => {
      await next.close();
      throw error;
    });
    if (given === held) {
      cast = next;
      load.renew(callers);
      await before.close();
    } else {
      // The certificates were replaced meanwhile, and the callers with them.
      await Promise.all([next.close(), ...Object.values(callers.agents).map((agent) => agent.close())]);
    }
  };
  // A part may be away just then: the tokens of before are good until the next time.
  const renewNow = () => renew().catch(() => {});
  const renewing = setInterval(() => void renewNow(), RENEW_EVERY_MS);
  const failed: string[] = [];
  try {
    await delay(CALM_MS);
    failed.push(...judged('nothing', true, load.count(), say));
    for (const event of happening) {
      failed.push(...(await happens(event, site, load, say)));
      await renewNow();
    }
  } finally {
    clearInterval(renewing);
    await load.stop();
  }
  const { recorded, lost } = await untilLogged(load, { ...stack, certificates: held }, cast);
  await cast.close();
  say(`${load.acknowledged.size} acknowledged, ${recorded.size} in the log, ${lost.length} lost`);
  return { tried: load.acknowledged.size, failed: [...failed, ...load.wrong, ...misrecorded(recorded, load)], lost };
}

async function happens(event: Event, site: Site, load: Load, say: Circumstances['say']): Promise<string[]> {
  const began = performance.now();
  const failed = await Promise.race([
    event.happen(site).catch((error: unknown) => [`${event.name} ended with ${told(error)}`]),
    site.replicated.fleet.failed,
  ]);
  await delay(CALM_MS);
  const took = `${((performance.now() - began) / 1000).toFixed(0)} s`;
  return [...failed, ...judged(`${event.name} (${took})`, event.planned, load.count(), say)];
}

const told = (error: unknown): string =>
  error instanceof Error && error.cause !== undefined ? `${String(error)}: ${String(error.cause)}` : String(error);

/** Says what was counted; what an operator plans may cost no caller a 5xx. */
function judged(name: string, planned: boolean, counts: Counts, say: Circumstances['say']): string[] {
  const { requests, errors, later, again } = counts;
  say(`${name}: ${requests} requests, ${errors} 5xx, ${later} told to come again (503), ${again} sent again`);
  if (requests === 0) return [`${name}: nothing was asked meanwhile`];
  const seen = errors + (planned ? later : 0);
  return seen === 0 ? [] : [`${name}: ${seen} of ${requests} requests met a 5xx`];
}

/** Reads until the log holds all that was acknowledged, or for as long as it may take. */
async function untilLogged(
  load: Load,
  stack: ReplicatedStack['stack'],
  cast: Cast,
): Promise<{ recorded: Recorded; lost: string[] }> {
  const reader = openLogReader(cast.portal, load.prefix);
  for (const until = performance.now() + LOGGED_WITHIN_MS; ; await delay(POLL_MS)) {
    const recorded = await reader.read(await auditorToken(stack, cast));
    const lost = missingFrom(recorded, load);
    if (lost.length === 0 || performance.now() > until) return { recorded, lost };
  }
}
