import { type PosternDocument } from '../document/postern-document.ts';
import { composeFiles } from './compose.ts';
import { envFiles } from './env.ts';
import { helmFiles } from './helm.ts';
import { keycloakFiles } from './keycloak.ts';
import { nixFiles } from './nix.ts';
import { type OutputFile } from './output.ts';
import { testScriptFiles } from './test-script.ts';
import { typescriptFiles } from './typescript.ts';
import { vaultFiles } from './vault.ts';

/** What `postern generate` can write, each from the document alone. */
export const outputs = {
  keycloak: keycloakFiles,
  env: envFiles,
  typescript: typescriptFiles,
  'test-script': testScriptFiles,
  nix: nixFiles,
  helm: helmFiles,
  compose: composeFiles,
  vault: vaultFiles,
} as const satisfies Record<string, (document: PosternDocument) => OutputFile[]>;

export type OutputKind = keyof typeof outputs;
export const outputKinds = Object.keys(outputs) as OutputKind[];
