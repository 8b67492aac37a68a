import { type MigrationSet } from '@postern/postgres';
import { grants0001 } from './0001-grants.ts';
import { keeping0002 } from './0002-keeping.ts';
import { grantCounts0003 } from './0003-grant-counts.ts';
import { tenantsPauses0004 } from './0004-tenants-pauses.ts';

/** This service's own tables; a step that has run somewhere is never edited, only followed. */
export const grantMigrations: MigrationSet = {
  set: 'grants',
  steps: {
    '0001-grants': grants0001,
    '0002-keeping': keeping0002,
    '0003-grant-counts': grantCounts0003,
    '0004-tenants-pauses': tenantsPauses0004,
  },
};
