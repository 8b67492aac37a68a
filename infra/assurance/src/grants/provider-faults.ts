import type { Realm } from '@postern/testing';
import type { Case, Circumstances, Findings, Scale } from '../assess.ts';
import { faults, openFaults, type Fault } from './faulty-provider.ts';
import { openGrantsWorld, type GrantsWorld, type Replica } from './grants-world.ts';
import { judgeGrant } from './judge-grant.ts';

const strict = { name: 'strict rotation', rotation: { maxReuse: 0 } } as const;
const modes: { name: string; rotation: Realm['rotation'] }[] = [
  strict,
  { name: 'rotation with one reuse', rotation: { maxReuse: 1 } },
  { name: 'no rotation', rotation: 'off' },
];

/** How many grants meet each fault, in how many of the modes; those that wait for a time limit only where there is time. */
const EXTENT: Record<Scale, { grants: number; modes: number; waits: boolean }> = {
  small: { grants: 1, modes: 1, waits: false },
  default: { grants: 3, modes: 3, waits: true },
  full: { grants: 50, modes: 3, waits: true },
};
const WAITS = new Set(['it never answers', 'its answer never comes']);

/** A provider that fails in every way while grants are refreshed over two processes; afterwards it is well, and each is used. */
export const providerFaults: Case = {
  name: 'grants/provider-faults',
  guarantee:
    'whatever a provider does instead of answering, its grants work once it is well, or ask for their person where it had acted under strict rotation (R20)',
  async run(circumstances) {
    const findings: Findings = { tried: 0, failed: [], lost: [] };
    const { scale, only = '' } = circumstances;
    for (const mode of modes.slice(0, EXTENT[scale].modes).filter(({ name }) => name.includes(only))) {
      const found = await inMode(mode, circumstances);
      findings.tried += found.tried;
      findings.failed.push(...found.failed.map((line) => `${mode.name}: ${line}`));
    }
    return findings;
  },
};

type Met = { grant: string; fault: Fault };

async function inMode(
  { name, rotation }: (typeof modes)[number],
  { scale, say }: Circumstances,
): Promise<{ tried: number; failed: string[] }> {
  const extent = EXTENT[scale];
  const standing = openFaults();
  const world = await openGrantsWorld({ rotation, between: standing.between });
  try {
    const [one, two] = [await world.replica(), await world.replica()];
    const met: Met[] = [];
    for (const fault of faults.filter(({ name: of }) => extent.waits || !WAITS.has(of))) {
      for (let made = 0; made < extent.grants; made += 1) met.push({ grant: await world.staleGrant(one), fault });
    }
    const failed: string[] = [];
    for (const fault of new Set(met.map((each) => each.fault))) {
      const grants = met.filter((each) => each.fault === fault).map(({ grant }) => grant);
      standing.set(fault);
      failed.push(...(await meetFault(world, [one, two], grants)).map((line) => `${fault.name}: ${line}`));
      standing.set(undefined);
    }
    // What is still open holds everything back until its time is up: nothing reaches the provider.
    await moveDeadlines(world, '10 minutes');
    const asked = standing.asked();
    for (const { grant } of met)
      if (await isOpen(world, grant)) failed.push(...(await meetFault(world, [two], [grant])));
    if (standing.asked() !== asked) failed.push('something was sent before an open attempt was settled');
    await moveDeadlines(world, '-6 seconds');

    const ends = { works: 0, asks: 0 };
    for (const { grant, fault } of met) {
      const sent = standing.asked();
      const end = await judgeGrant(world, two, grant);
      const again = standing.asked() - sent;
      if (end === 'works') ends.works += 1;
      // What may have been used up is asked about, and never sent again.
      else if (end === 'asks' && rotation === strict.rotation && fault.acted && again === 0) ends.asks += 1;
      else failed.push(`${fault.name}: then ${end}, ${again} sent`);
    }
    say(
      `${name}: ${met.length} refreshes met ${new Set(met.map((each) => each.fault)).size} faults; ${ends.works} grants survived, ` +
        `${ends.asks} lost their answer and say so, ${failed.length} failed`,
    );
    return { tried: met.length, failed };
  } finally {
    await world.close();
  }
}

/** All at once, over both processes: each is told that the provider is away, and when to come again. */
async function meetFault(world: GrantsWorld, replicas: Replica[], grants: string[]): Promise<string[]> {
  const answers = await Promise.all(grants.map((grant, at) => world.use(replicas[at % replicas.length]!, grant)));
  return answers.flatMap(({ status, code }) =>
    status === 503 && code === 'provider_unavailable' ? [] : [`answered ${status} ${code}`],
  );
}

const isOpen = async (world: GrantsWorld, grant: string): Promise<boolean> =>
  (await world.query("select 1 from refresh_attempts where grant_id = $1 and state = 'intended'", [grant])).length > 0;

const moveDeadlines = (world: GrantsWorld, to: string) =>
  world.query("update refresh_attempts set deadline = now() + $1::interval where state = 'intended'", [to]);
