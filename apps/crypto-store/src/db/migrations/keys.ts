import { type MigrationSet } from '@postern/postgres';

/** What the state of keys and their change ask of this service's tables; it comes after the records and the branch keys. */
export const keyMigrations: MigrationSet = {
  set: 'keys',
  steps: {
    '0001-record-key-version': `
      alter table records add column key_version uuid generated always as (sealed_key_version(sealed)) stored;
      create index records_by_key_version on records (key_version);
    `,
  },
};
