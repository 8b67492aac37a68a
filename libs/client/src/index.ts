export { type Audit, type EventPage, type EventQuery } from './audit.ts';
export { createPostern, type Postern, type RawRequest } from './create-postern.ts';
export { PosternError, type PosternErrorDetails } from './errors.ts';
export { type Exchange, type ExchangeRequest } from './exchange.ts';
export {
  type Consent,
  type ConsentRequest,
  type Grant,
  type Grants,
  type GrantToken,
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
export { type Records, type RetrievedRecord, type StoredRecord } from './records.ts';
export { type OpenedSecret, type SecretEntry, type Secrets } from './secrets.ts';
export { type Answer } from './send.ts';
export { type ExchangedToken } from './token-cache.ts';
export { ExportRefused, verifyExport, type VerifiedExport } from './verify-export.ts';
export { verifyReceipt, type EventReceipt, type LoggedEvent, type VerifiedReceipt } from './verify-receipt.ts';
