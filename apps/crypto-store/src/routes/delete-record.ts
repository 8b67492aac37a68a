import { noContent, route } from '@postern/http';
import { z } from 'zod';
import { changeVersions, deleting, type ChangeVersions } from '../records/change-versions.ts';
import { conditionHeaders, conditionsIn } from '../records/entity-tag.ts';
import { recordKey } from '../records/record-address.ts';
import { changed } from './changed.ts';
import { namespaceOf } from './namespace.ts';

/** Deletes a record, or one version of it, softly: nothing of it is read or listed until it is restored. */
export const deleteRecord = (deps: ChangeVersions) =>
  route({
    method: 'DELETE',
    path: '/v1/records/:key',
    listener: 'api',
    summary: 'Delete a record; it can be restored',
    description:
      'Nothing of it is read or listed until it is restored. After the days that the operator has set it is destroyed.',
    scope: 'records:write',
    audit: 'record.deleted',
    params: z.strictObject({ key: recordKey }),
    query: z.strictObject({
      version: z.coerce
        .number()
        .int()
        .min(1)
        .max(Number.MAX_SAFE_INTEGER)
        .optional()
        .describe('one version; absent: the record'),
    }),
    headers: z.strictObject(conditionHeaders),
    answers: { 204: noContent },
    problems: [
      'record_not_found',
      'precondition_failed',
      'precondition_required',
      'record_unreadable',
      'keys_unavailable',
    ],
    handle({ principal, workload, params: { key }, query: { version }, headers }, audit) {
      const at = { tenant: principal.tenant, namespace: namespaceOf(workload), key };
      const change = { at, conditions: conditionsIn(headers), act: deleting(version) };
      return changeVersions(deps, change, (tx, record) => audit.within(tx, changed(record), { status: 204 }));
    },
  });
