export { type Approval, type ApprovalQuery, type Approvals, type ApprovalState, type Decision } from './approvals.ts';
export { type Audiences } from './audiences.ts';
export { type Audit, type EventPage, type EventQuery } from './audit.ts';
export { createPostern, type Postern, type RawRequest } from './create-postern.ts';
export { PosternError, type PosternErrorDetails } from './errors.ts';
export { type ConsentStep, type Consents } from './consents.ts';
export { type Exchange, type ExchangeRequest } from './exchange.ts';
export {
  type GrantImports,
  type ImportCounts,
  type ImportedRow,
  type ImportLine,
  type VaultHeader,
} from './grant-imports.ts';
export {
  type Consent,
  type ConsentRequest,
  type Grant,
  type Grants,
  type GrantToken,
  type HandleView,
  type NewHandle,
  type StoredToken,
  type Handle,
  type StartedConsent,
} from './grants.ts';
export {
  type Authority,
  type CallAs,
  type CallOptions,
  type PosternOptions,
  type ServiceUrls,
  type TlsIdentity,
} from './options.ts';
export {
  type BatchOperation,
  type BatchPayload,
  type BatchResult,
  type HashPage,
  type ListedRecord,
  type ListQuery,
  type RecordHash,
  type RecordPage,
  type RecordVersions,
} from './record-lists.ts';
export { type RecordType, type RecordValue } from './record-value.ts';
export {
  type ChangedRecord,
  type ChangeOptions,
  type ReadOptions,
  type Records,
  type RetrievedRecord,
  type StoredRecord,
  type WriteOptions,
  type WrittenRecord,
} from './records.ts';
export { type Exchanges, type Lineage, type MintedToken } from './exchanges.ts';
export { type Job, type JobAt, type Jobs } from './jobs.ts';
export { type LocalEnvelope } from './local-envelope.ts';
export { type Macs } from './macs.ts';
export {
  type OpenedSecret,
  type SecretEntry,
  type SecretOwner,
  type Secrets,
  type SecretUse,
  type SecretUsed,
  type SecretVersion,
} from './secrets.ts';
export { type Answer } from './send.ts';
export { type EndedSessions, type PersonSession, type Sessions, type SessionGrant } from './sessions.ts';
export { type ExchangedToken } from './token-cache.ts';
export { ExportRefused, verifyExport, type VerifiedExport } from './verify-export.ts';
export { type SealedFor, type Transit, type TransitItem, type TransitResult } from './transit.ts';
export {
  commitmentTo,
  verifyReceipt,
  type EventReceipt,
  type LoggedEvent,
  type VerifiedReceipt,
} from './verify-receipt.ts';
export {
  fromEnvironment,
  fromKeycloak,
  fromPostern,
  type EnvironmentOptions,
  type KeycloakOptions,
  type PosternScopesOptions,
} from './scopes/from-environment.ts';
export { type OnApprovalPending, type PendingApproval } from './scopes/await-approval.ts';
export { scopesNamedBy, scopesOfChallenge } from './scopes/named-scopes.ts';
export { type EnsureOptions } from './scopes/ensure-options.ts';
export { type Scopes } from './scopes/open-scopes.ts';
export { scopeErrorCodes, type ScopeErrorCode } from './scopes/scope-errors.ts';
export { type FetchOptions } from './scopes/scope-fetch.ts';
export { type Environment } from './scopes/settings.ts';
export { traceTo, type Trace, type TraceEntry } from './scopes/trace.ts';
export { tlsFromFiles } from './tls-from-files.ts';
