import { type MigrationSet } from '@postern/postgres';
import { keyProxy0001 } from './0001-key-proxy.ts';
import { keyProxy0002 } from './0002-secrets.ts';
import { keyProxy0003 } from './0003-accounts.ts';
import { keyProxy0004 } from './0004-grants-and-uses.ts';
import { keyProxy0005 } from './0005-moves.ts';
import { keyProxy0006 } from './0006-repeats-and-tokens.ts';
import { keyProxy0007 } from './0007-secret-counts.ts';
import { keyProxy0008 } from './0008-tag-writes.ts';

/** This service's own tables; a step that has run somewhere is never edited, only followed. */
export const keyProxyMigrations: MigrationSet = {
  set: 'key-proxy',
  steps: {
    '0001-key-proxy': keyProxy0001,
    '0002-secrets': keyProxy0002,
    '0003-accounts': keyProxy0003,
    '0004-grants-and-uses': keyProxy0004,
    '0005-moves': keyProxy0005,
    '0006-repeats-and-tokens': keyProxy0006,
    '0007-secret-counts': keyProxy0007,
    '0008-tag-writes': keyProxy0008,
  },
};
