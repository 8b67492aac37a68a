import { type MigrationSet } from '@postern/postgres';
import { records0001 } from './0001-records.ts';

/** The records' own tables; a step that has run somewhere is never edited, only followed. */
export const recordMigrations: MigrationSet = { set: 'records', steps: { '0001-records': records0001 } };
