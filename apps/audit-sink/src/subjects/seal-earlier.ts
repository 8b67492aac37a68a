import { auditEvent } from '@postern/audit';
import { queryIn, type Postgres } from '@postern/postgres';
import { sealContent } from './seal-content.ts';
import type { Subjects } from './subjects.ts';

const AT_ONCE = 200;

/** Seals the events that stood in clear before events were sealed; each leaves `log_unsealed` in the transaction that seals it. */
export async function sealEarlier(postgres: Pick<Postgres<unknown>, 'db'>, subjects: Subjects): Promise<void> {
  for (let left = AT_ONCE; left === AT_ONCE;) {
    left = await postgres.db.transaction().execute(async (tx) => {
      const query = queryIn(tx);
      const rows = await query<{ event_id: string; salt: Buffer; canonical: Buffer }>(
        `delete from log_unsealed where event_id = any(array(
           select event_id from log_unsealed limit $1 for update skip locked)) returning event_id, salt, canonical`,
        [AT_ONCE],
      );
      for (const { event_id: id, salt, canonical } of rows) {
        const event = auditEvent.parse(JSON.parse(canonical.toString('utf8')));
        const subject = await subjects.of(event.tenant, event.actor.person);
        const sealed = sealContent(subject.key, id, salt, canonical);
        await query('update log_every_event set subject = $2, sealed = $3 where event_id = $1', [
          id,
          subject.id,
          sealed,
        ]);
      }
      return rows.length;
    });
  }
}
