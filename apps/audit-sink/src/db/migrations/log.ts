import { type MigrationSet } from '@postern/postgres';
import { log0001 } from './0001-log.ts';

/** The log's own tables; a step that has run somewhere is never edited, only followed. */
export const logMigrations: MigrationSet = { set: 'log', steps: { '0001-log': log0001 } };
