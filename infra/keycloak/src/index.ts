export { modelsOf } from './document/model-of.ts';
export { DocumentRefused, written, type Problem } from './document/problem.ts';
export { type PosternDocument } from './document/postern-document.ts';
export { readDocument } from './document/read-document.ts';
export { documentJsonSchema } from './document/schema.ts';
export type { Finding } from './document/finding.ts';
export type { Origin, Setting } from './document/settings.ts';
export { compileRealm } from './realm/compile.ts';
export { RealmRefused, type RealmModel } from './realm/model.ts';
export type { RealmRepresentation } from './realm/representations.ts';
export { stableJson } from './realm/stable-json.ts';
export {
  KeycloakRefused,
  KeycloakUnreachable,
  openKeycloakAdmin,
  type AdminOptions,
  type KeycloakAdmin,
} from './live/admin.ts';
export { applyPlan } from './live/apply.ts';
export { differences, type Difference } from './live/compare.ts';
export { objectsOf } from './live/objects.ts';
export { liveRealm, planRealm, type Plan, type Step } from './live/plan.ts';
export { rotateKeys, type KeyRotation, type KeyStep } from './live/rotate-keys.ts';
export { outputKinds, outputs, type OutputKind } from './outputs/index.ts';
export { endpointsOf, issuerOf, NothingToGenerate, type OutputFile } from './outputs/output.ts';
export { assess, chainHolds, type Assessed } from './evidence/assess.ts';
export { assessmentResults, componentDefinition } from './evidence/oscal.ts';
export { evidenceReport } from './evidence/report.ts';
