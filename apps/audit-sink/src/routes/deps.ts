import type { Postgres, Query } from '@postern/postgres';
import type { CheckpointKey } from '../log/checkpoint-key.ts';
import type { Pseudonyms } from '../subjects/pseudonyms.ts';
import type { Subjects } from '../subjects/subjects.ts';

/** What the routes of the log read from. */
export type ReadLog = {
  query: Query;
  postgres: Pick<Postgres<unknown>, 'db'>;
  subjects: Subjects;
  pseudonymOf: Pseudonyms;
  key: CheckpointKey;
};

/** Reading the log needs this scope and, at the audience, this role. */
export const AUDITOR = { scope: 'audit:read', role: 'auditor' } as const;
