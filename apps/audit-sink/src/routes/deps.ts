import type { Query } from '@postern/postgres';
import type { CheckpointKey } from '../log/checkpoint-key.ts';

/** What the routes of the log read from. */
export type ReadLog = { query: Query; key: CheckpointKey };

/** Reading the log needs this scope and, at the audience, this role. */
export const AUDITOR = { scope: 'audit:read', role: 'auditor' } as const;
