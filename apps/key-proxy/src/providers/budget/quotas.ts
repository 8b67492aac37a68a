import { type ProviderKind } from '../provider-kind.ts';

/** What a budget counts apart: reads of values, and everything else. */
export type CallClass = 'read' | 'write';
export type Quota = { perSecond: number; burst: number };

/**
 * Calls a second that are spent of what each provider publishes: four fifths, since others use the same account.
 * AWS, "Secrets Manager quotas": GetSecretValue and DescribeSecret 10,000 a second together; writes 50 a second.
 * Google, "Quotas and limits": access 90,000 a minute and project, reads and writes 600 a minute.
 * Azure, "Key Vault service limits": 4,000 transactions in 10 seconds a vault for secrets; writes 300 in 10 seconds.
 * OpenBao and crypto-store publish none: what one service may ask of them.
 */
export const quotas: Readonly<Record<ProviderKind, Readonly<Record<CallClass, Quota>>>> = {
  aws: { read: { perSecond: 8_000, burst: 2_000 }, write: { perSecond: 40, burst: 40 } },
  gcp: { read: { perSecond: 1_200, burst: 2_000 }, write: { perSecond: 8, burst: 100 } },
  azure: { read: { perSecond: 320, burst: 800 }, write: { perSecond: 24, burst: 60 } },
  openbao: { read: { perSecond: 2_000, burst: 500 }, write: { perSecond: 500, burst: 250 } },
  'crypto-store': { read: { perSecond: 5_000, burst: 2_000 }, write: { perSecond: 2_000, burst: 1_000 } },
};
