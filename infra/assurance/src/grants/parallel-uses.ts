import { type Case, type Scale } from '../assess.ts';
import { openGrantsWorld } from './grants-world.ts';

const EXTENT: Record<Scale, { rounds: number }> = {
  small: { rounds: 1 },
  default: { rounds: 20 },
  full: { rounds: 1_000 },
};
const USES = 100;
const REPLICAS = 3;

/** A hundred uses at once of one grant whose token is good once, over three processes, again and again. */
export const parallelUses: Case = {
  name: 'grants/parallel-uses',
  guarantee: 'a hundred uses at once over three replicas are one refresh at the provider, and the family lives (R20)',
  async run({ scale, say }) {
    const { rounds } = EXTENT[scale];
    const world = await openGrantsWorld({ rotation: { maxReuse: 0 } });
    try {
      const replicas = await Promise.all(Array.from({ length: REPLICAS }, () => world.replica()));
      const grant = await world.staleGrant(replicas[0]!);
      const failed: string[] = [];
      for (let round = 1; round <= rounds; round += 1) {
        const answers = await Promise.all(
          Array.from({ length: USES }, (_, at) => world.use(replicas[at % REPLICAS]!, grant)),
        );
        const bad = answers.filter(({ status }) => status !== 200);
        if (bad.length > 0) failed.push(`round ${round}: ${bad.length} uses failed, the first with ${bad[0]?.code}`);
        const [attempts] = await world.query<{ n: string }>('select count(*) as n from refresh_attempts');
        if (Number(attempts?.n) !== round) failed.push(`round ${round}: ${attempts?.n} refreshes`);
        await world.age(grant);
      }
      say(`${rounds * USES} uses, ${rounds} refreshes, ${failed.length === 0 ? 0 : 'some'} families revoked`);
      return { tried: rounds * USES, failed, lost: [] };
    } finally {
      await world.close();
    }
  },
};
