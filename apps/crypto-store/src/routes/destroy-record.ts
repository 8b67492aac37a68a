import { route } from '@postern/http';
import { z } from 'zod';
import { changeVersions, destroying, destroyingAll, type ChangeVersions } from '../records/change-versions.ts';
import { conditionHeaders, conditionsIn } from '../records/entity-tag.ts';
import { recordKey } from '../records/record-address.ts';
import { changed, changedVersions, namedVersions } from './changed.ts';
import { namespaceOf } from './namespace.ts';

/** Destroys versions of a record for good, or the whole of it with its key. Backups keep what they have. */
export const destroyRecord = (deps: ChangeVersions) =>
  route({
    method: 'POST',
    path: '/v1/records/:key/destroy',
    listener: 'api',
    summary: 'Destroy versions, or the whole record, for good',
    description: 'The whole record goes with its key. Backups keep what they have.',
    scope: 'records:write',
    audit: 'record.destroyed',
    params: z.strictObject({ key: recordKey }),
    headers: z.strictObject(conditionHeaders),
    body: z.union([z.strictObject({ versions: namedVersions }), z.strictObject({ all: z.literal(true) })]),
    answers: { 200: changedVersions },
    problems: [
      'record_not_found',
      'precondition_failed',
      'precondition_required',
      'record_unreadable',
      'keys_unavailable',
    ],
    handle({ principal, workload, params: { key }, body, headers }, audit) {
      const at = { tenant: principal.tenant, namespace: namespaceOf(workload), key };
      const whole = 'all' in body;
      const act = whole ? destroyingAll() : destroying(body.versions);
      return changeVersions(deps, { at, conditions: conditionsIn(headers), act }, (tx, record) => {
        const { resource, details } = changed(record);
        return audit.within(
          tx,
          { resource, details: { ...details, cause: 'asked', ...(whole ? { whole } : {}) } },
          { status: 200, body: { key, id: record.id, versions: record.versions } },
        );
      });
    },
  });
