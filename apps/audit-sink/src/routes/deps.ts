import type { Postgres, Query } from '@postern/postgres';
import { z } from 'zod';
import type { LogKeys } from '../log/checkpoint-key.ts';
import type { Pseudonyms } from '../subjects/pseudonyms.ts';
import type { Subjects } from '../subjects/subjects.ts';

/** What the routes of the log read from. */
export type ReadLog = {
  query: Query;
  postgres: Pick<Postgres<unknown>, 'db'>;
  subjects: Subjects;
  pseudonymOf: Pseudonyms;
  key: LogKeys;
};

/** A key of the log, with the word for it of the one before. */
export const followedKey = z.strictObject({
  verifier: z.string().describe('the line of the key (C2SP signed-note)'),
  generation: z.int().min(1).describe('counts the keys'),
  endorsement: z.string().nullable().describe('a note under the key before it that names it; null of the first'),
});

/** Reading the log needs this scope and, at the audience, this role. */
export const AUDITOR = { scope: 'audit:read', role: 'auditor' } as const;

/**
 * An administrator reads their own tenant's events, and a service in that administrator's name (a token exchanged from theirs,
 * which names the service in `act`): no tile, no tree, nothing of anybody else's.
 */
export const TENANT_ADMIN = { scope: 'audit:read-tenant', role: 'admin' } as const;

/** One log serves every tenant: what changes it is for those who run Postern itself. */
export const OPERATOR = { scope: 'log:operate', role: 'operator' } as const;

/** Under which path whom events are shown. */
export type Reader = { path: string } & (typeof AUDITOR | typeof TENANT_ADMIN);
