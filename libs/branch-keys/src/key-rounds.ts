import { Gauge, systemNow, type Logger, type Now, type Registry, type Round } from '@postern/runtime';
import { moveRootKey, type MoveRootKey } from './move-root-key.ts';
import { type BranchKeys } from './open-branch-keys.ts';
import { rotateDue } from './rotate-due.ts';

export type KeyRounds = MoveRootKey & {
  keys: BranchKeys;
  /** The service's profile: days between rotations where a key has no schedule of its own. */
  profile: { keyRotationDays: number };
  registry: Registry;
  logger: Logger;
  now?: Now;
};

/** What the worker does for branch keys by itself, each safe beside another replica. */
export function keyRounds(deps: KeyRounds): Round[] {
  const { query, transaction, rootKey, keys, profile, registry, logger, now = systemNow } = deps;
  const left = new Gauge({
    name: 'branch_keys_under_other_root_keys',
    help: 'Branch keys that another root key than the active one wraps still',
    registers: [registry],
  });
  return [
    {
      name: 'rotate branch keys',
      run: async () => {
        const rotated = await rotateDue(
          { query, transaction, keys },
          { profileDays: profile.keyRotationDays, now: now() },
        );
        if (rotated > 0) logger.info({ count: rotated }, 'branch keys rotated on schedule');
      },
    },
    {
      name: 'move branch keys to the active root key',
      run: async () => {
        const result = await moveRootKey({ query, transaction, rootKey });
        left.set(result.left);
        if (result.moved > 0) logger.info({ count: result.moved }, 'branch keys moved to the active root key');
        if (result.left > 0) logger.warn({ count: result.left }, 'branch keys not moved to the active root key');
      },
    },
  ];
}
