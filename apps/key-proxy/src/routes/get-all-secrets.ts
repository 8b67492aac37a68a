import { type Kysely } from 'kysely';
import { z } from 'zod';
import { route } from '@postern/http';
import { problem } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { listSecrets } from '../secrets/list-secrets.ts';
import { ownerOf } from '../secrets/owner.ts';
import { readValues, type ReadValues } from '../secrets/read-values.ts';
import { stillFresh } from '../secrets/still-fresh.ts';
import { entryOf, secretEntry } from './fields.ts';
import { PROVIDER_PROBLEMS } from './provider-problems.ts';

export type GetAllSecretsDeps = ReadValues & { db: Kysely<Schema> };

const MOST_SECRETS = 100;

/**
 * Seed route: the caller's own secrets by name and reference; with `values=true` each one is read, and recorded. Then one that may
 * not be read now, disabled or expired, is not among them.
 */
export const getAllSecrets = (deps: GetAllSecretsDeps) =>
  route({
    method: 'GET',
    path: '/get-all-secrets',
    listener: ['api', 'public'],
    scope: 'secrets:read',
    tier: 'standard',
    audit: 'secrets.listed',
    summary: 'The caller’s own secrets; with `values=true` also what they hold',
    query: z.strictObject({
      values: z.enum(['true', 'false']).default('false'),
      after: z.string().max(256).optional().describe('`next` of the page before'),
      limit: z.coerce.number().int().min(1).max(MOST_SECRETS).default(MOST_SECRETS).describe('secrets a page'),
    }),
    answers: {
      200: z.strictObject({
        secrets: z.array(
          z.strictObject({
            ...secretEntry,
            value: z.string().optional().describe('with `values=true`: what it holds'),
          }),
        ),
        next: z.string().nullable().describe('give it as `after` for the next page; null at the end'),
      }),
    },
    problems: PROVIDER_PROBLEMS,
    async handle({ principal, query }, audit) {
      const owner = ownerOf(principal);
      const { values, ...page } = query;
      const held = await listSecrets(deps.db, owner, { ...page, ...(values === 'true' && { readableAt: deps.now() }) });
      const next = held.length === query.limit ? (held.at(-1)?.name ?? null) : null;
      const listed = { details: { count: held.length } };
      if (values === 'false') {
        return audit.released(listed, { status: 200, body: { secrets: held.map(entryOf), next } });
      }
      const opened = await readValues(deps, held, { subjectToken: principal.token });
      return deps.db.transaction().execute(async (tx) => {
        if (!(await stillFresh(tx, held))) throw problem('read_stale', { retryAfterSeconds: 1 });
        // Each value given out is an event of its own; only the last answer, which holds them all, is sent.
        const nothing = { status: 200 as const, body: { secrets: [], next: null } };
        for (const { id, name, place } of held) {
          const what = {
            action: 'secret.read' as const,
            resource: { type: 'secret', id },
            details: { provider: place.kind, name },
          };
          await audit.within(tx, what, nothing);
        }
        const secrets = opened.map((secret) => ({ ...entryOf(secret), value: secret.value.content.reveal() }));
        return audit.within(tx, listed, { status: 200, body: { secrets, next } });
      });
    },
  });
