import { route, type Route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { problem, type Now } from '@postern/runtime';
import { type Kysely } from 'kysely';
import { z } from 'zod';
import { type Schema } from '../db/schema.ts';
import { readParts, type ServicePart } from '../keys/destruction-services.ts';
import {
  approveDestruction,
  cancelDestruction,
  readDestruction,
  requestDestruction,
  type Destruction,
} from '../keys/destruction.ts';

export type KeyDestructionRoutes = {
  db: Kysely<Schema>;
  /** Between approval and denial. Null where no list of destroyed keys is kept: then nothing is destroyed. */
  destructionWaitHours: number | null;
  now: Now;
};

const HOUR_MS = 3_600_000;
const time = z.iso.datetime().nullable();
const destructionAnswer = z.strictObject({
  id: z.uuid(),
  state: z.enum(['requested', 'approved', 'denied', 'destroyed', 'cancelled']),
  requested_at: z.iso.datetime(),
  approved_at: time,
  not_before: time,
  destroyed_at: time,
  complete_after: time.describe('when no backup holds anything of it any more'),
  services: z
    .array(
      z.strictObject({
        service: z.string().describe('which service it is'),
        state: z.enum(['pending', 'destroyed']),
        told_at: z.iso.datetime(),
        denied_at: time,
        destroyed_at: time,
        removed: z.record(z.string(), z.int()).nullable().describe('rows, by table'),
        keys: z.int().nullable().describe('branch keys destroyed'),
        listed: z.boolean().nullable().describe('whether a restored database is told of it by a list outside'),
      }),
    )
    .describe('the receipt: what each service did; none before the tenant is denied'),
});

const answerOf = (one: Destruction, parts: readonly ServicePart[] = []) => ({
  id: one.id,
  state: one.state,
  requested_at: one.requestedAt.toISOString(),
  approved_at: one.approvedAt?.toISOString() ?? null,
  not_before: one.notBefore?.toISOString() ?? null,
  destroyed_at: one.destroyedAt?.toISOString() ?? null,
  complete_after: one.completeAfter?.toISOString() ?? null,
  services: parts.map(({ service, state, toldAt, deniedAt, destroyedAt, removed, keys, listed }) => ({
    service,
    state,
    told_at: toldAt.toISOString(),
    denied_at: deniedAt?.toISOString() ?? null,
    destroyed_at: destroyedAt?.toISOString() ?? null,
    removed,
    keys,
    listed,
  })),
});
const resourceOf = ({ id }: Destruction) => ({ type: 'destruction', id });

const asAdministrator = { listener: 'api', scope: 'keys:destroy', role: 'admin' } as const;

async function find(db: Kysely<Schema>, tenant: string) {
  const query = queryIn(db);
  const found = await readDestruction(query, tenant);
  if (found === null) throw problem('destruction_not_found');
  return { found, body: answerOf(found, await readParts(query, found.id)) };
}

/** A denied tenant's own administrators are denied too: what became of it is an operator's to see. */
const asOperator = { listener: 'api', scope: 'keys:operate', role: 'operator' } as const;

/**
 * Destroying a tenant: two persons and a waiting time, then every service denies it and removes what it holds, and its keys
 * here go last (R33).
 */
export const keyDestructionRoutes = ({ db, destructionWaitHours, now }: KeyDestructionRoutes): Route[] => [
  route({
    ...asAdministrator,
    method: 'GET',
    path: '/v1/key-destruction',
    summary: 'The destruction of the tenant, if one was asked for',
    audit: 'destruction.read',
    answers: { 200: destructionAnswer },
    problems: ['destruction_not_found'],
    async handle({ principal }, audit) {
      const { found, body } = await find(db, principal.tenant);
      return audit.released({ resource: resourceOf(found), details: {} }, { status: 200, body });
    },
  }),
  route({
    ...asOperator,
    method: 'GET',
    path: '/v1/key-destructions/:tenant',
    summary: 'The newest destruction of a tenant, with the receipt of each service',
    audit: 'destruction.read',
    params: z.strictObject({ tenant: z.string().min(1).max(64).describe('id of the tenant') }),
    answers: { 200: destructionAnswer },
    problems: ['destruction_not_found'],
    async handle({ params: { tenant } }, audit) {
      const { found, body } = await find(db, tenant);
      return audit.released({ resource: resourceOf(found), details: {} }, { status: 200, body });
    },
  }),
  route({
    ...asAdministrator,
    method: 'POST',
    path: '/v1/key-destruction',
    summary: 'Ask for the destruction of the tenant: of all that every service holds of it',
    description:
      'The first of two persons and a waiting time. Then every service denies the tenant and removes what it holds of it, and its keys go last: nothing is opened ever again.',
    audit: 'destruction.requested',
    body: z.strictObject({ tenant: z.string().min(1).max(64).describe('the tenant’s id, written out') }),
    answers: { 202: destructionAnswer },
    problems: ['destruction_conflict', 'destruction_unavailable', 'person_required'],
    async handle({ principal, body }, audit) {
      if (destructionWaitHours === null) throw problem('destruction_unavailable');
      if (body.tenant !== principal.tenant) throw problem('destruction_conflict');
      return db.transaction().execute(async (tx) => {
        const asked = await requestDestruction(queryIn(tx), principal, now());
        return audit.within(tx, { resource: resourceOf(asked), details: {} }, { status: 202, body: answerOf(asked) });
      });
    },
  }),
  route({
    ...asAdministrator,
    method: 'POST',
    path: '/v1/key-destruction/approve',
    summary: 'Approve it, as another person; the waiting time begins',
    audit: 'destruction.approved',
    body: z.strictObject({ id: z.uuid().describe('of the destruction that is approved') }),
    answers: { 202: destructionAnswer },
    problems: ['destruction_conflict', 'destruction_unavailable', 'person_required', 'same_person'],
    async handle({ principal, body }, audit) {
      if (destructionWaitHours === null) throw problem('destruction_unavailable');
      const at = now();
      const notBefore = new Date(at.getTime() + destructionWaitHours * HOUR_MS);
      return db.transaction().execute(async (tx) => {
        const approved = await approveDestruction(queryIn(tx), principal, { now: at, notBefore });
        if (approved.id !== body.id) throw problem('destruction_conflict');
        const details = { notBefore: notBefore.toISOString() };
        return audit.within(tx, { resource: resourceOf(approved), details }, { status: 202, body: answerOf(approved) });
      });
    },
  }),
  route({
    ...asAdministrator,
    method: 'DELETE',
    path: '/v1/key-destruction',
    summary: 'Call it off, while its waiting time runs',
    audit: 'destruction.cancelled',
    answers: { 200: destructionAnswer },
    problems: ['destruction_conflict'],
    handle: ({ principal }, audit) =>
      db.transaction().execute(async (tx) => {
        const cancelled = await cancelDestruction(queryIn(tx), principal.tenant);
        return audit.within(
          tx,
          { resource: resourceOf(cancelled), details: {} },
          { status: 200, body: answerOf(cancelled) },
        );
      }),
  }),
];
