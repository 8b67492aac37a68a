import { type Kysely } from 'kysely';
import { z } from 'zod';
import { route } from '@postern/http';
import { problem } from '@postern/runtime';
import { type Schema } from '../../db/schema.ts';
import { isKeptHere } from '../../providers/capabilities.ts';
import { assertTagsFit } from '../../secrets/assert-fits.ts';
import { changeSettings } from '../../secrets/change-settings.ts';
import { ofOwner, reachSecret } from '../../secrets/reach-secret.ts';
import { listSecrets } from '../../secrets/list-secrets.ts';
import { ownerOf } from '../../secrets/owner.ts';
import { setTags } from '../../secrets/set-tags.ts';
import { type RunWrites } from '../../secrets/writes/run-write.ts';
import { PROVIDER_PROBLEMS } from '../provider-problems.ts';
import { label } from './read.ts';
import { named, secretView, settings, viewOf } from './secret-view.ts';
import { settingsOf } from './settings-of.ts';

type Deps = { db: Kysely<Schema> };

const MOST = 200;

/** The cursor of a page is the last name on it; opaque to the caller. */
const cursor = z
  .string()
  .max(1024)
  .regex(/^[A-Za-z0-9_-]+$/)
  .transform((text) => Buffer.from(text, 'base64url').toString());

/** The caller's own secrets by name, without their values. */
export const listSecretsRoute = ({ db }: Deps) =>
  route({
    method: 'GET',
    path: '/v1/secrets',
    listener: 'api',
    scope: 'secrets:read',
    audit: 'secrets.listed',
    summary: 'List secrets',
    query: z.strictObject({
      cursor: cursor.optional().describe('`next` of the page before'),
      limit: z.coerce.number().int().min(1).max(MOST).default(100).describe('secrets a page'),
      prefix: z.string().min(1).max(256).optional().describe('how their names begin'),
      tag: z
        .string()
        .regex(/^[a-z][a-z0-9_-]{0,62}=.{0,63}$/)
        .optional()
        .describe('`name=value`'),
      state: z.enum(['live', 'all']).default('live').describe('`all`: disabled and deleted ones too'),
    }),
    answers: {
      200: z.strictObject({
        secrets: z.array(secretView),
        next: z.string().nullable().describe('give it as `cursor` for the next page; null at the end'),
      }),
    },
    problems: ['person_required'],
    async handle({ principal, query: { cursor: after, limit, prefix, tag, state } }, audit) {
      const at = tag?.indexOf('=') ?? -1;
      const wanted = tag === undefined ? undefined : { name: tag.slice(0, at), value: tag.slice(at + 1) };
      const held = await listSecrets(db, ownerOf(principal), {
        after,
        limit,
        prefix,
        tag: wanted,
        all: state === 'all',
      });
      const last = held.length === limit ? held.at(-1) : undefined;
      const next = last ? Buffer.from(last.name).toString('base64url') : null;
      return audit.released(
        { details: { count: held.length } },
        { status: 200, body: { secrets: held.map(viewOf), next } },
      );
    },
  });

/** What is kept here of one secret, without its value. */
export const describeSecret = ({ db }: Deps) =>
  route({
    method: 'GET',
    path: '/v1/secrets/:name/metadata',
    listener: 'api',
    scope: 'secrets:read',
    audit: 'secrets.listed',
    summary: 'Describe a secret',
    params: named,
    query: z.strictObject(ofOwner),
    answers: { 200: secretView },
    problems: ['person_required', 'secret_not_found'],
    async handle({ principal, params: { name }, query }, audit) {
      const secret = await reachSecret(db, principal, { name, ...query }, 'read');
      const what = { resource: { type: 'secret', id: secret.id }, details: { count: 1 } };
      return audit.released(what, { status: 200, body: viewOf(secret) });
    },
  });

/** Changes description, tags, labels, times and cache of a secret. */
export const changeSecret = (deps: RunWrites) =>
  route({
    method: 'PATCH',
    path: '/v1/secrets/:name',
    listener: 'api',
    scope: 'secrets:write',
    audit: 'secret.updated',
    summary: 'Change what is kept of a secret',
    params: named,
    query: z.strictObject(ofOwner),
    body: z.strictObject({
      ...settings,
      labels: z
        .record(label, z.int().min(1).max(2_147_483_647))
        .refine((labels) => Object.keys(labels).length <= 20, 'at most 20')
        .optional()
        .describe('names of versions'),
    }),
    answers: { 200: secretView },
    problems: [
      ...PROVIDER_PROBLEMS,
      'secret_not_found',
      'secret_deleted',
      'secret_busy',
      'version_not_found',
      'too_many_tags',
    ],
    async handle({ principal, params: { name }, query, body }, audit) {
      const owner = ownerOf(principal);
      const secret = await reachSecret(deps.db, principal, { name, ...query }, 'update');
      const { labels, ...rest } = body;
      const wanted = { ...settingsOf(rest), labels };
      if (secret.state === 'deleted') throw problem('secret_deleted');
      const what = { resource: { type: 'secret', id: secret.id }, details: { provider: secret.place.kind, name } };
      if (wanted.tags) assertTagsFit(secret.place.kind, wanted.tags);
      if (wanted.tags && !isKeptHere(secret.place.kind, 'tag'))
        return audit.effect(what, async (attempt) => {
          const by = { subjectToken: principal.token };
          const changed = await setTags(deps, secret, { owner, by, settings: wanted }, attempt);
          return { what, answer: { status: 200, body: viewOf(changed) } };
        });
      return deps.db.transaction().execute(async (tx) => {
        const changed = await changeSettings(tx, secret.id, wanted, deps.now());
        return audit.within(tx, what, { status: 200, body: viewOf(changed) });
      });
    },
  });
