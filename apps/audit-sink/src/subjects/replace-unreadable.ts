import { newEvent } from '@postern/audit';
import type { Audit } from '@postern/outbox';
import { queryIn, type Postgres } from '@postern/postgres';
import type { Logger, Now } from '@postern/runtime';
import { SubjectUnreadable, type Subjects } from './subjects.ts';

/**
 * Subjects as the intake needs them: a row that somebody altered must not stop what its producer sends (R24). It is an alarm; the row
 * stays, under `replaced_mac`, so that an erasure finds what it was for, and the subject gets a new one with a new key. What was
 * sealed under the old key can be read again when its row is put right.
 */
export function replaceUnreadable(
  subjects: Pick<Subjects, 'of'>,
  { postgres, audit, logger, now }: Replace,
): Pick<Subjects, 'of'> {
  const replace = async (id: string): Promise<void> => {
    const replaced = await postgres.db.transaction().execute(async (tx) => {
      const rows = await queryIn(tx)(
        'update log_subjects set replaced_mac = mac, mac = null where id = $1 and mac is not null returning 1',
        [id],
      );
      // Another batch or replica met it too.
      if (rows.length === 0) return false;
      const details = { kind: 'subject_unreadable', about: id };
      const draft = { action: 'alarm.raised', outcome: 'success', tenant: null, details } as const;
      await audit.within(tx, newEvent({ ...draft, actor: { workload: 'audit-sink' } }, now()));
      return true;
    });
    if (replaced) logger.error({ id }, 'alarm: the key of a subject cannot be opened; it has a new one from now on');
  };
  return {
    async of(tenant, person) {
      try {
        return await subjects.of(tenant, person);
      } catch (error) {
        if (!(error instanceof SubjectUnreadable)) throw error;
        await replace(error.id);
        return subjects.of(tenant, person);
      }
    },
  };
}

export type Replace = {
  postgres: Pick<Postgres<unknown>, 'db'>;
  audit: Pick<Audit, 'within'>;
  logger: Logger;
  now: Now;
};
