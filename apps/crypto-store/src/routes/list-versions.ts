import { route } from '@postern/http';
import { z } from 'zod';
import { entityTag } from '../records/entity-tag.ts';
import { listVersions, versionStates, type ListVersions } from '../records/list-versions.ts';
import { recordKey } from '../records/record-address.ts';
import { namespaceOf } from './namespace.ts';

const answer = z.strictObject({
  key: recordKey,
  id: z.uuid(),
  version: z.int().describe('the newest'),
  keep_versions: z.int().describe('versions that are kept'),
  require_match: z.boolean().describe('whether a write needs `If-Match`'),
  versions: z.array(
    z.strictObject({
      version: z.int().describe('its number, from 1'),
      etag: z.string().describe('its entity tag'),
      state: z.enum(versionStates),
      bytes: z.int().describe('length of what was written'),
      created_at: z.iso.datetime(),
      expires_at: z.iso.datetime().nullable(),
    }),
  ),
});

/** Every version that is kept of a record, newest first, also those that can no longer be read. */
export const listVersionsRoute = (deps: ListVersions) =>
  route({
    method: 'GET',
    path: '/v1/records/:key/versions',
    listener: 'api',
    summary: 'List the versions of a record',
    description: 'Every version that is kept, newest first, also those that can no longer be read.',
    scope: 'records:read',
    audit: 'record.listed',
    params: z.strictObject({ key: recordKey }),
    answers: { 200: answer },
    problems: ['record_not_found', 'record_unreadable', 'keys_unavailable'],
    async handle({ principal, workload, params: { key } }, audit) {
      const at = { tenant: principal.tenant, namespace: namespaceOf(workload), key };
      const { id, newest, keepVersions, matchRequired, versions } = await listVersions(deps, at);
      const shown = versions.map(({ version, state, bytes, createdAt, expiresAt }) => ({
        version,
        etag: entityTag({ id, version }),
        state,
        bytes,
        created_at: createdAt.toISOString(),
        expires_at: expiresAt?.toISOString() ?? null,
      }));
      return audit.released(
        { resource: { type: 'record', id, version: newest }, details: { count: versions.length } },
        {
          status: 200,
          body: {
            key,
            id,
            version: newest,
            keep_versions: keepVersions,
            require_match: matchRequired,
            versions: shown,
          },
        },
      );
    },
  });
