import type { Revocations, TokenVerifier } from '@postern/oidc';
import type { Profile } from '@postern/profile';
import type { Logger, Now } from '@postern/runtime';
import { openWeb, type Web } from '@postern/web';
import type { Kysely } from 'kysely';
import type { Dispatcher } from 'undici';
import { SERVICE } from '../app.ts';
import type { Config } from '../config.ts';
import type { Schema } from '../db/schema.ts';
import type { PolicyStore } from '../policy/policy-store.ts';

export type OpenApprovalPages = {
  config: Pick<Config, 'approvalsClientId' | 'issuer'>;
  policies: PolicyStore;
  db: Kysely<Schema>;
  /** Mutual TLS to the servers of an issuer. */
  agentOf: (issuer: string) => Dispatcher;
  verifier: TokenVerifier;
  profile: Profile;
  living: Revocations;
  logger: Logger;
  now: Now;
};

/**
 * Browser sessions for the pages of approvals; null where nothing is configured for them. Approvers come from one issuer
 * (R19): that which the policy in force at the start names.
 */
export function openApprovalPages(deps: OpenApprovalPages): Web | null {
  const { config, policies, db, agentOf, verifier, profile, living, logger, now } = deps;
  const clientId = config.approvalsClientId;
  if (clientId === undefined) return null;
  const approvers = policies.held().document.approvals?.issuer;
  if (approvers === undefined) {
    logger.warn('no page for approvals: the policy names no approvers');
    return null;
  }
  return openWeb<Schema>({
    db,
    origin: config.issuer,
    home: '/approvals',
    provider: { issuer: approvers, clientId, dispatcher: agentOf(approvers) },
    verifier,
    audience: SERVICE,
    profile,
    revocations: living,
    now,
  });
}
