import { setTimeout as sleep } from 'node:timers/promises';
import type { Caller } from './caller.ts';
import type { Replica } from './world.ts';

/** A job to its end, by what its administrator may see of it. */
export async function endOfJob(portal: Caller, { api }: Replica, id: unknown): Promise<Record<string, unknown>> {
  const token = await portal.tokenFor('admin-ada', ['grants:read'], { roles: ['admin'] });
  for (let looks = 0; looks < 600; looks++) {
    const { body } = await portal.send(`${api}/v1/jobs/${String(id)}`, { token });
    if (body['ended_at'] !== null) return body;
    await sleep(100);
  }
  throw new Error('the job did not end');
}
