import { z } from 'zod';
import { path, setting, type Parsed, type Settings } from './setting.ts';

/** How long branch keys stay in memory, and where the destroyed ones are listed. */
export const branchKeySettings = {
  POSTERN_BRANCH_KEY_SECONDS: setting(
    z.coerce.number().int().min(1).max(3_600),
    'How long a branch key stays in memory. What is destroyed is denied for as long before it goes (R33).',
    { default: 300 },
  ),
  POSTERN_DESTROYED_KEYS_PATH: setting(
    path.optional(),
    'List of destroyed keys and tenants, on a volume that is not restored with the database (R33).',
    { example: '/var/lib/postern/destroyed-keys.jsonl' },
  ),
} satisfies Settings;

export type BranchKeyConfig = { readonly cacheTtlMs: number; readonly destroyedPath: string | undefined };

export function branchKeyConfig(read: Parsed<typeof branchKeySettings>): BranchKeyConfig {
  return { cacheTtlMs: read.POSTERN_BRANCH_KEY_SECONDS * 1000, destroyedPath: read.POSTERN_DESTROYED_KEYS_PATH };
}
