import { type MigrationSet } from '@postern/postgres';
import { exchanges0001 } from './0001-exchanges.ts';
import { exchanges0002 } from './0002-policies.ts';
import { exchanges0003 } from './0003-approvals.ts';

/** A step that has run somewhere is never edited, only followed. An exchange is written once: no update, no delete. */
export const exchangeMigrations: MigrationSet = {
  set: 'exchanges',
  steps: { '0001-exchanges': exchanges0001, '0002-policies': exchanges0002, '0003-approvals': exchanges0003 },
  privileges: {
    exchanges: ['select', 'insert'],
    policies: ['select', 'insert'],
    tenants: ['select', 'insert', 'update'],
  },
};
