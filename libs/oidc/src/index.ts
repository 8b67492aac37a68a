export type { Binding, Person, Presented, Principal } from './principal.ts';
export { TokenRefused, type RefusalCode, type RefusalReason } from './token-refused.ts';
export { tokenKinds, tokenKindNames, type TokenKind } from './token-kinds.ts';
export {
  issuerEntry,
  signatureAlgorithms,
  tenantId,
  trustTable,
  workloadIdentity,
  type IssuerEntry,
  type TrustTable,
} from './trust-table.ts';
