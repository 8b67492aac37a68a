import { type MigrationSet } from '@postern/postgres';
import { recordCounts0002 } from './0002-record-counts.ts';
import { refusedWrites0003 } from './0003-refused-writes.ts';
import { recordVersions0001 } from './0001-record-versions.ts';
import { records0001 } from './0001-records.ts';

/** The records' own tables; a step that has run somewhere is never edited, only followed. */
export const recordMigrations: MigrationSet = { set: 'records', steps: { '0001-records': records0001 } };

/** What follows them, after the keys' columns on the first table. */
export const recordVersionMigrations: MigrationSet = {
  set: 'record-versions',
  steps: {
    '0001-record-versions': recordVersions0001,
    '0002-record-counts': recordCounts0002,
    '0003-refused-writes': refusedWrites0003,
  },
};
