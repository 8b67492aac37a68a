import { consent, openCast, openHome, quietly, startStack, type Cast, type Home, type Stack } from '@postern/dev';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { holds, type Case, type Circumstances, type Findings, type Scale } from '../assess.ts';
import { seeded } from '../random.ts';
import { roundOfFaults } from './faults.ts';
import { misrecorded, missingFrom } from './judge.ts';
import { openLogReader, type Recorded } from './log-reader.ts';
import { payloadOf } from './operations.ts';
import { openWitness, type Witness } from './proofs.ts';
import { auditorToken, openSession } from './sessions.ts';
import { startTraffic, type Traffic } from './traffic.ts';

type Extent = {
  rounds: number;
  /** More rounds follow until so many operations are acknowledged. */
  acknowledged: number;
  /** The longest wait between two operations of one caller, in milliseconds. */
  pauseMs: number;
  /** Each round ends with all faults at once. */
  together: boolean;
};

const extents: Record<Scale, Extent> = {
  small: { rounds: 1, acknowledged: 1, pauseMs: 120, together: false },
  default: { rounds: 2, acknowledged: 1, pauseMs: 60, together: true },
  full: { rounds: 20, acknowledged: 1_000_000, pauseMs: 5, together: true },
};

/** Longest calm before a fault strikes, in milliseconds. */
const CALM_MS = 1_200;
const WORKS_AGAIN_WITHIN_MS = 180_000;
/** Events travel by the bus, and what was lost of it is sent again: the log may take this long to hold them all. */
const LOGGED_WITHIN_MS = 240_000;
const POLL_MS = 500;
/** Most receipts, and most records, that are asked for. */
const SAMPLE: Record<Scale, number> = { small: 50, default: 200, full: 2_000 };

type World = { stack: Stack; cast: Cast };

/** What the crashes leave to be judged. */
type Aftermath = { grantId: string; witness: Witness; traffic: Traffic; faults: number };

export const stackCrashes: Case = {
  name: 'stack/crashes',
  guarantee: 'what was acknowledged is in the log once, and proven, whatever crashes',
  async run(circumstances) {
    const home = openHome(mkdtempSync(join(tmpdir(), 'postern-assurance-')));
    let findings: Findings | undefined;
    try {
      const aftermath = await inWorld(home, (world) => underFaults(world, circumstances));
      findings = await inWorld(home, (world) => judge(world, aftermath, circumstances));
      return findings;
    } finally {
      // Who has to find out why needs the logs and the databases.
      if (findings && holds(findings)) rmSync(home.dir, { recursive: true, force: true });
      else circumstances.say(`databases and logs are kept in ${home.dir}`);
    }
  },
};

/** Starts everything on the home's data, and stops it when the work is done. */
async function inWorld<T>(home: Home, work: (world: World) => Promise<T>): Promise<T> {
  const stack = await startStack({ home, idp: 'development', step: quietly });
  try {
    const cast = openCast(stack.state, stack.certificates);
    return await work({ stack, cast }).finally(() => cast.close());
  } finally {
    await stack.close();
  }
}

/** Crashes the parts, round after round, while the tour's traffic is under way. */
async function underFaults({ stack, cast }: World, { scale, seed, say }: Circumstances): Promise<Aftermath> {
  const random = seeded(seed);
  const { ca } = stack.certificates.of.portal;
  const { grant: grantId } = await consent(stack.state, cast, ca, async (_row, play) => (await play()).value);
  const witness = openWitness(await cast.portal.audit.logKey());
  const session = await openSession(stack, cast, grantId);
  const { rounds, acknowledged, pauseMs, together } = extents[scale];
  const traffic = startTraffic({ stack, grantId, session, random: random.fork(), pauseMs });
  let faults = 0;
  try {
    await traffic.untilEachWorks(WORKS_AGAIN_WITHIN_MS);
    for (let round = 1; round <= rounds || traffic.acknowledged.size < acknowledged; round++) {
      await witness.look(stack, cast.portal);
      for (const fault of roundOfFaults(random, { together })) {
        await delay(random.between(0, CALM_MS));
        await Promise.race([fault.strike(stack), stack.failed]);
        await traffic.untilEachWorks(WORKS_AGAIN_WITHIN_MS);
        faults += 1;
        say(`round ${round}: ${fault.name}; ${traffic.acknowledged.size} acknowledged so far`);
      }
      traffic.renew(await openSession(stack, cast, grantId));
    }
  } finally {
    await traffic.stop();
  }
  return { grantId, witness, traffic, faults };
}

/** Compares the log, and the store, with what was acknowledged before everything was started again. */
async function judge(
  { stack, cast }: World,
  { grantId, witness, traffic, faults }: Aftermath,
  { scale, seed, say }: Circumstances,
): Promise<Findings> {
  const random = seeded(seed);
  const token = () => auditorToken(stack, cast);
  const reader = openLogReader(cast.portal, traffic.prefix);
  const early = await untilLogged(reader, token, traffic);
  const sample = random.shuffled([...early.values()].flat()).slice(0, SAMPLE[scale]);
  const eventIds = sample.map(({ eventId }) => eventId);
  const unproven = await witness.unproven(cast.portal, await token(), eventIds);

  const { job } = await openSession(stack, cast, grantId);
  const records = random.shuffled(traffic.stored).slice(0, SAMPLE[scale]);
  const lostRecords: string[] = [];
  for (const key of records) {
    const { payload } = await cast.job.records
      .retrieve(key, { token: job['crypto-store'] })
      .catch(() => ({ payload: '' }));
    if (payload !== payloadOf(key)) lostRecords.push(`record ${key} was acknowledged and cannot be read`);
  }

  // Read once more after all that: what the relays send twice comes late.
  const recorded = await reader.read(await token());
  await witness.look(stack, cast.portal);
  const inconsistent = await witness.inconsistencies(stack, cast.portal, await token());
  const { size } = traffic.acknowledged;
  say(`${faults} faults, then a restart; ${traffic.sent()} sent, ${size} acknowledged, ${recorded.size} in the log`);
  say(`${eventIds.length} receipts and ${records.length} records looked at`);
  return {
    tried: size,
    failed: [...traffic.wrong, ...misrecorded(recorded, traffic), ...unproven, ...inconsistent],
    lost: [...missingFrom(recorded, traffic), ...lostRecords],
  };
}

/** Reads until the log holds all that was acknowledged, or for as long as it may take. */
async function untilLogged(
  reader: ReturnType<typeof openLogReader>,
  token: () => Promise<string>,
  traffic: Traffic,
): Promise<Recorded> {
  const until = performance.now() + LOGGED_WITHIN_MS;
  for (;;) {
    const recorded = await reader.read(await token());
    if (missingFrom(recorded, traffic).length === 0 || performance.now() > until) return recorded;
    await delay(POLL_MS);
  }
}
