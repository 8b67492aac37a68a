import { z } from 'zod';
import { type ChangedVersions } from '../records/change-versions.ts';
import { recordKey } from '../records/record-address.ts';

/** What the event of a change of versions says. */
export const changed = ({ id, newest, versions }: ChangedVersions) => ({
  resource: { type: 'record', id, version: newest },
  ...(versions.length === 0 ? { reason: 'repeated' } : {}),
  details: { versions: versions.map(String) },
});

/** Which versions a body names: at most as many as a record keeps. */
export const namedVersions = z.array(z.int().positive()).min(1).max(64).describe('numbers of versions');

/** Which versions were changed. */
export const changedVersions = z.strictObject({
  key: recordKey,
  id: z.uuid(),
  versions: z.array(z.int()).describe('the numbers of those that were changed'),
});
