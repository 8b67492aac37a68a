import { route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { problem, type Now } from '@postern/runtime';
import { z } from 'zod';
import { copiesOf, erasePerson, type CopyLives } from '../erasure/erase-person.ts';
import { type ReadLog } from './deps.ts';

/** Erases a person of the tenant from the log, and says where copies still are and until when (R28). */
export const erasePersonRoute = ({ postgres, subjects }: ReadLog, lives: CopyLives, now: Now) =>
  route({
    method: 'POST',
    path: '/v1/erasures',
    listener: 'api',
    summary: "Erase a person's events; the log's proofs stay whole",
    scope: 'audit:erase',
    role: 'admin',
    audit: 'subject.erased',
    body: z.strictObject({ issuer: z.string().min(1).max(256), sub: z.string().min(1).max(256) }),
    answers: {
      200: z.strictObject({
        subject: z.uuid(),
        events: z.int().min(0),
        erased_at: z.string(),
        complete_after: z.string(),
        copies: z.array(z.strictObject({ copy: z.string(), until: z.string().nullable() })),
      }),
    },
    problems: ['subject_not_found'],
    async handle({ principal: { tenant }, body: person }, audit) {
      const subject = await subjects.find(tenant, person);
      if (subject === null) throw problem('subject_not_found');
      const at = now();
      const copies = copiesOf(lives, tenant, at);
      const completeAfter = copies.reduce((last, { until }) => (until !== null && until > last ? until : last), '');
      const released = await postgres.db.transaction().execute(async (tx) => {
        const events = await erasePerson(queryIn(tx), subject);
        const what = {
          resource: { type: 'subject', id: subject },
          details: { count: events, backupsUntil: completeAfter },
        };
        const body = { subject, events, erased_at: at.toISOString(), complete_after: completeAfter, copies };
        return audit.within(tx, what, { status: 200, body });
      });
      subjects.forget([subject]);
      return released;
    },
  });
