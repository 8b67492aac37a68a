import { route } from '@postern/http';
import { z } from 'zod';
import { changeVersions, restoring, type ChangeVersions } from '../records/change-versions.ts';
import { conditionHeaders, conditionsIn } from '../records/entity-tag.ts';
import { recordKey } from '../records/record-address.ts';
import { changed, changedVersions, namedVersions } from './changed.ts';
import { namespaceOf } from './namespace.ts';

/** Takes the last deletion of a record back, or that of the versions named. */
export const undeleteRecord = (deps: ChangeVersions) =>
  route({
    method: 'POST',
    path: '/v1/records/:key/undelete',
    listener: 'api',
    summary: 'Restore what was deleted',
    description: 'Takes the last deletion of the record back, or that of the versions named.',
    scope: 'records:write',
    audit: 'record.restored',
    params: z.strictObject({ key: recordKey }),
    headers: z.strictObject(conditionHeaders),
    body: z.strictObject({ versions: namedVersions.optional().describe('absent: what the last deletion took') }),
    answers: { 200: changedVersions },
    problems: [
      'record_not_found',
      'precondition_failed',
      'precondition_required',
      'record_unreadable',
      'keys_unavailable',
    ],
    handle({ principal, workload, params: { key }, body: { versions }, headers }, audit) {
      const at = { tenant: principal.tenant, namespace: namespaceOf(workload), key };
      const change = { at, conditions: conditionsIn(headers), act: restoring(versions) };
      return changeVersions(deps, change, (tx, record) =>
        audit.within(tx, changed(record), { status: 200, body: { key, id: record.id, versions: record.versions } }),
      );
    },
  });
