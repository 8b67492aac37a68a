export { beforeWriting } from './before-writing.ts';
export type { AddressClass } from './address.ts';
export type { Resolve } from './connector.ts';
export {
  type Egress,
  type EgressAnswer,
  type EgressOptions,
  type EgressRequest,
  type FetchLike,
  openEgress,
} from './egress.ts';
export { type EgressReason, EgressRefused } from './refused.ts';
export { parseRules, type EgressRules } from './rules.ts';
