import { z } from 'zod';

const MAX_KEY_CHARACTERS = 512;

/** A caller's name for a record. */
export const recordKey = z
  .string()
  .min(1)
  .max(MAX_KEY_CHARACTERS)
  // Postgres takes no NUL, and half a surrogate pair would be stored as another key.
  .refine((key) => key.isWellFormed() && !/\p{Cc}/u.test(key), 'control characters')
  .describe('name of the record within the namespace of the calling workload');

/** Where a record lives. The namespace is the workload that calls: what it stored no other workload finds. */
export type RecordAddress = { tenant: string; namespace: string; key: string };
