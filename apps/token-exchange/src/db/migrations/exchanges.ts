import { type MigrationSet } from '@postern/postgres';
import { exchanges0001 } from './0001-exchanges.ts';
import { exchanges0002 } from './0002-policies.ts';
import { exchanges0003 } from './0003-approvals.ts';
import { exchanges0004 } from './0004-origins.ts';
import { exchanges0005 } from './0005-compromised-workloads.ts';
import { exchanges0006 } from './0006-several-audiences.ts';
import { exchanges0007 } from './0007-ended-tenants.ts';
import { exchanges0008 } from './0008-person-names.ts';

/** A step that has run somewhere is never edited, only followed. An exchange is written once: no update, and no delete but of a tenant that ended. */
export const exchangeMigrations: MigrationSet = {
  set: 'exchanges',
  steps: {
    '0001-exchanges': exchanges0001,
    '0002-policies': exchanges0002,
    '0003-approvals': exchanges0003,
    '0004-origins': exchanges0004,
    '0005-compromised-workloads': exchanges0005,
    '0006-several-audiences': exchanges0006,
    '0007-ended-tenants': exchanges0007,
    '0008-person-names': exchanges0008,
  },
  privileges: {
    exchanges: ['select', 'insert'],
    policies: ['select', 'insert'],
    tenants: ['select', 'insert', 'update'],
    compromised_workloads: ['select', 'insert', 'update', 'delete'],
  },
};
