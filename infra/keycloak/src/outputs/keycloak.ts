import { modelsOf } from '../document/model-of.ts';
import { type PosternDocument } from '../document/postern-document.ts';
import { compileRealm } from '../realm/compile.ts';
import { stableJson } from '../realm/stable-json.ts';
import { deployed, type OutputFile } from './output.ts';

/** `realm-NAME.json`: what Keycloak imports, and what Git keeps. */
export function keycloakFiles(document: PosternDocument): OutputFile[] {
  deployed(document);
  return modelsOf(document).map((model) => ({
    path: `realm-${model.name}.json`,
    text: stableJson(compileRealm(model)),
  }));
}
