import { route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { problem, type Now } from '@postern/runtime';
import { z } from 'zod';
import { certificatesOfEpoch, closeProducer } from '../log/close-producer.ts';
import { OPERATOR, type ReadLog } from './deps.ts';

const position = z.int().min(0);

/**
 * After a compromise (R26): closes the producer's epoch at the point where the log stands. The answer says which entries came
 * under which certificates; what the workload did itself is found by `GET /v1/events?workload=`.
 */
export const closeProducerRoute = ({ query, postgres }: ReadLog, producers: readonly string[], now: Now) =>
  route({
    method: 'POST',
    path: '/v1/log/producers/:producer/close',
    listener: 'api',
    summary: "Close a producer's epoch: nothing more of it is taken, nor under a certificate from before",
    ...OPERATOR,
    audit: 'producer.closed',
    params: z.strictObject({ producer: z.enum(producers as [string, ...string[]]) }),
    body: z.strictObject({
      reason: z
        .string()
        .regex(/^[a-z][a-z0-9_.-]{0,63}$/)
        .describe('as a code: `compromised`, `certificate_leaked`'),
      /** Certificates whose validity began earlier are refused from now on. Default: all until now. */
      certificates_before: z.iso.datetime({ offset: true }).optional(),
    }),
    answers: {
      200: z.strictObject({
        producer: z.string().describe('the service'),
        epoch: position.describe('that is closed'),
        seq: position.describe('its last number that counts'),
        index: position.nullable().describe('place of that entry in the log'),
        tree_size: position.describe('entries of the log then'),
        certificates_before: z.string().describe('certificates that began earlier are refused, RFC 3339'),
        closed_at: z.string().describe('RFC 3339'),
        certificates: z.array(
          z.strictObject({
            thumbprint: z
              .string()
              .nullable()
              .describe('SHA-256 of the certificate, base64url (RFC 8705 section 3.1); null: not kept by a restore'),
            entries: position.describe('how many came under it'),
            first_index: position.describe('place of the first'),
            last_index: position.describe('place of the last'),
            first_received: z.string().describe('RFC 3339'),
            last_received: z.string().describe('RFC 3339'),
          }),
        ),
      }),
    },
    problems: ['invalid_input'],
    async handle({ params: { producer }, body: { reason, certificates_before: before } }, audit) {
      const at = now();
      const certificatesBefore = before === undefined ? at : new Date(before);
      if (certificatesBefore > at) {
        throw problem('invalid_input', { fields: [{ field: 'body.certificates_before', rule: 'not in the future' }] });
      }
      const certificates = await certificatesOfEpoch(query, producer);
      return postgres.db.transaction().execute(async (tx) => {
        const closed = await closeProducer(queryIn(tx), { producer, certificatesBefore, now: at });
        const { epoch, seq, index } = closed;
        const since = closed.certificatesBefore.toISOString();
        const details = { epoch, seq, ...(index === null ? {} : { index }), certificatesBefore: since };
        return audit.within(
          tx,
          { resource: { type: 'producer', id: producer }, reason, details },
          {
            status: 200,
            body: {
              producer,
              epoch,
              seq,
              index,
              tree_size: closed.treeSize,
              certificates_before: since,
              closed_at: closed.closedAt.toISOString(),
              certificates: certificates.map((one) => ({
                thumbprint: one.thumbprint,
                entries: one.entries,
                first_index: one.firstIndex,
                last_index: one.lastIndex,
                first_received: one.firstReceived.toISOString(),
                last_received: one.lastReceived.toISOString(),
              })),
            },
          },
        );
      });
    },
  });
