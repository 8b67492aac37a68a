import { testRun, type Realm } from '@postern/testing';
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Case, type Circumstances, type Findings, type Scale } from '../assess.ts';
import { seeded } from '../random.ts';
import { openGrantsWorld, type GrantsWorld, type Replica } from './grants-world.ts';
import { judgeGrant } from './judge-grant.ts';
import { markedSources } from './marked-lines.ts';

const hook = fileURLToPath(new URL('kill-at-line.ts', import.meta.url));

type Mode = { name: string; rotation: Realm['rotation'] };
const strict: Mode = { name: 'strict rotation', rotation: { maxReuse: 0 } };
const others: Mode[] = [
  { name: 'rotation with one reuse', rotation: { maxReuse: 1 } },
  { name: 'no rotation', rotation: 'off' },
];

/** How many lines are killed at under strict rotation, and in each of the other modes. */
const EXTENT: Record<Scale, { strict: number; others: number }> = {
  small: { strict: 3, others: 0 },
  default: { strict: Infinity, others: 12 },
  full: { strict: Infinity, others: Infinity },
};

/** R20: an attempt's 10 s and the provider's 5 s to handle what was written at the last moment. */
const SETTLED_MS = 16_000;

/**
 * A process of the service refreshes a grant and is killed (SIGKILL) at one line of the refresh; each line that a refresh
 * comes by gets its turn, with a grant of its own. Afterwards another process uses every grant.
 */
export const refreshCrashes: Case = {
  name: 'grants/refresh-crashes',
  guarantee:
    'a process killed at any line of a refresh leaves a grant that works, or one that asks for its person where the answer was lost under strict rotation (R20)',
  async run(circumstances) {
    const extent = EXTENT[circumstances.scale];
    const findings: Findings = { tried: 0, failed: [], lost: [] };
    for (const [mode, most] of [
      [strict, extent.strict],
      ...others.map((one) => [one, extent.others] as const),
    ] as const) {
      if (most === 0 || !mode.name.includes(circumstances.only ?? '')) continue;
      const found = await inMode(mode, most, circumstances);
      findings.tried += found.tried;
      findings.failed.push(...found.failed.map((line) => `${mode.name}: ${line}`));
    }
    return findings;
  },
};

async function inMode(
  mode: Mode,
  most: number,
  { seed, say }: Circumstances,
): Promise<{ tried: number; failed: string[] }> {
  const world = await openGrantsWorld({ rotation: mode.rotation });
  try {
    const survivor = await world.replica();
    const marked = await fileOf(JSON.stringify(markedSources()));
    const lines = await linesOf(world, survivor, marked);
    const chosen = lines.length <= most ? lines : seeded(seed).shuffled(lines).slice(0, most);
    const victims: Victim[] = [];
    await inLanes(chosen, async (line) => void victims.push(await killAt(world, survivor, marked, line)));
    const ends = { works: 0, asks: 0 };
    const failed: string[] = [];
    // In the order in which they were killed: most are settled by then.
    await inLanes(victims, async (victim) => {
      await delay(Math.max(0, victim.settledAt - performance.now()));
      await judge(world, survivor, { victim, mode, ends, failed });
    });
    say(
      `${mode.name}: ${victims.length} of ${lines.length} lines killed at; ${ends.works} grants survived, ` +
        `${ends.asks} lost their answer and say so, ${failed.length} failed`,
    );
    return { tried: victims.length, failed };
  } finally {
    await world.close();
  }
}

type Victim = { grant: string; line: string; died: boolean; journalled: boolean; settledAt: number };

const LANES = 3;

/** So many at once, in their order. */
async function inLanes<Item>(items: readonly Item[], each: (item: Item) => Promise<void>): Promise<void> {
  const left = [...items];
  const lane = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await each(item);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

async function fileOf(text: string): Promise<string> {
  const path = join(testRun().directory, `grants-${randomUUID()}`);
  await writeFile(path, text);
  return path;
}
const absent = () => join(testRun().directory, `grants-${randomUUID()}`);

/** The lines that an undisturbed refresh comes by. */
async function linesOf(world: GrantsWorld, survivor: Replica, marked: string): Promise<string[]> {
  const grant = await world.staleGrant(survivor);
  const [armed, lines] = [absent(), absent()];
  const replica = await world.replica({ MARKED: marked, ARMED: armed, LINES: lines }, ['--import', hook]);
  await writeFile(armed, '');
  const { status } = await world.use(replica, grant);
  // Before it is stopped, which comes by lines of its own.
  const passed = (await readFile(lines, 'utf8')).trim().split('\n');
  await replica.process.stop();
  if (status !== 200) throw new Error('a refresh with marked lines does not work');
  return passed;
}

async function killAt(world: GrantsWorld, survivor: Replica, marked: string, line: string): Promise<Victim> {
  const grant = await world.staleGrant(survivor);
  const armed = absent();
  const replica = await world.replica({ MARKED: marked, ARMED: armed, KILL_AT: line }, ['--import', hook]);
  await writeFile(armed, '');
  const died = await world.use(replica, grant).then(
    () => false,
    () => true,
  );
  await replica.process.kill().catch(() => {});
  const settledAt = performance.now() + SETTLED_MS;
  const open = await world.query<{ state: string }>('select state from refresh_attempts where grant_id = $1', [grant]);
  return { grant, line, died, journalled: open.some(({ state }) => state !== 'intended'), settledAt };
}

type Judging = { victim: Victim; mode: Mode; ends: { works: number; asks: number }; failed: string[] };

async function judge(world: GrantsWorld, survivor: Replica, { victim, mode, ends, failed }: Judging): Promise<void> {
  const { grant, line, died, journalled } = victim;
  if (!died) {
    failed.push(`${line}: the process was not killed there`);
    return;
  }
  const end = await judgeGrant(world, survivor, grant);
  if (end === 'works') ends.works += 1;
  // Only where nothing was journalled may the answer be lost, and only where each token is good once.
  else if (end === 'asks' && mode === strict && !journalled) ends.asks += 1;
  else failed.push(`${line}: then ${end}`);
}
