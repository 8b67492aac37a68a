import type { GrantsWorld, Replica } from './grants-world.ts';

/**
 * How a grant ended: it works when it is refreshed three times more (a family that a replay has killed shows at the second at
 * the latest), or asks for its person each time. Anything else in words.
 */
export async function judgeGrant(world: GrantsWorld, replica: Replica, grant: string): Promise<string> {
  const uses: string[] = [];
  for (let turn = 0; turn < 3; turn += 1) {
    const { status, code } = await world.use(replica, grant);
    uses.push(status === 200 ? 'works' : code);
    await world.age(grant);
  }
  const [row] = await world.query<{ state: string }>('select state from grants where id = $1', [grant]);
  if (uses.every((one) => one === 'works') && row?.state === 'active') return 'works';
  const state = 'reauthorization_required';
  if (uses.every((one) => one === state) && row?.state === state) return 'asks';
  return `${uses.join(', ')}, and it is ${row?.state}`;
}
