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
    description:
      'What the log holds of the person is destroyed with its key; leaves keep their commitments, which say nothing. The receipt names each copy and when it ends.',
    scope: 'audit:erase',
    role: 'admin',
    audit: 'subject.erased',
    body: z.strictObject({
      issuer: z.string().min(1).max(256).describe('where the person is known'),
      sub: z.string().min(1).max(256).describe('the person there'),
    }),
    answers: {
      200: z.strictObject({
        subject: z.uuid(),
        events: z.int().min(0).describe('how many were erased'),
        erased_at: z.string().describe('RFC 3339'),
        complete_after: z.string().describe('when the last copy is gone, RFC 3339'),
        copies: z.array(
          z.strictObject({
            copy: z.string().describe('what it is: a backup, a bus, a forwarder'),
            until: z.string().nullable().describe('when it is gone, RFC 3339; null: not known here'),
          }),
        ),
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
