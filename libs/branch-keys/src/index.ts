export { KeysUnavailable, RootKeyRefused } from './errors.ts';
export { createLocalRootKeyFile, rotateLocalRootKeyFile } from './local-key-file.ts';
export { openLocalRootKey } from './local-root-key.ts';
export { branchKeyMigrations } from './migrations.ts';
export { openBranchKeys, type BranchKeys, type BranchKeysOptions } from './open-branch-keys.ts';
export { LOGICAL_KEY_STORE_NAME } from './record.ts';
export { type RootKey, type Wrapping } from './root-key.ts';
export { sealerFor, type Sealer } from './sealer.ts';
