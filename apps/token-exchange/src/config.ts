import { type TrustTable } from '@postern/oidc';
import { policyDocument, type PolicyDocument } from '@postern/policy';
import { ConfigurationError, parseSettings, path, readDocument, setting } from '@postern/runtime';
import { serviceConfig, serviceSettings, type ServiceConfig } from '@postern/service/config';
import { z } from 'zod';
import { mistakenWorkloads } from './policy/same-workloads.ts';

/** What the environment must give: this service's reference, from which the README's table is generated. */
export const settings = {
  ...serviceSettings,
  POSTERN_PUBLIC_URL: setting(
    z.url({ protocol: /^https$/ }),
    'Origin under which others reach this service; the issuer of its tokens.',
    { example: 'https://token-exchange.example.com' },
  ),
  POSTERN_AUDIT_SINK_URL: setting(z.url({ protocol: /^https$/ }), 'Where the audit log answers (its api listener).', {
    example: 'https://audit-sink.example.internal:8443',
  }),
  POSTERN_TOKEN_EXCHANGE_URL: setting(
    z.url({ protocol: /^https$/ }),
    'Where workloads reach the api listener of this service: its token endpoint, in the metadata.',
    { example: 'https://token-exchange.example.internal:8443' },
  ),
  POSTERN_PROVIDER_ISSUER: setting(
    z.url({ protocol: /^https$/ }).optional(),
    'The realm whose own exchange gives tokens for audiences outside Postern; this service is its client `token-exchange`, by certificate. Default: none are given.',
    { example: 'https://idp.example.com/realms/acme' },
  ),
  POSTERN_AUTH_MANAGER_URL: setting(
    z.url({ protocol: /^https$/ }).optional(),
    'Where auth-manager answers (its api listener): it makes such exchanges for grants (R10). Default: none are made.',
    { example: 'https://auth-manager.example.internal:8443' },
  ),
  POSTERN_EXCHANGES_PER_MINUTE: setting(
    z.coerce.number().int().min(1).max(1_000_000).optional(),
    'Exchanges a minute for one subject in one replica; a client gets 20 times as many for one tenant, a tenant 100 times. Default: by profile (600, high 300).',
  ),
  POSTERN_POLICY_PATH: setting(
    path,
    'JSON file with the policy document: in force from the first start, and whenever its version is a new one.',
    { example: '/etc/postern/policy.json' },
  ),
  POSTERN_APPROVALS_CLIENT_ID: setting(
    z.string().min(1).max(128).optional(),
    'This service as a client of the provider that the policy names for approvals, by its certificate (RFC 8705). Absent: there is no page for approvals.',
    { example: 'token-exchange' },
  ),
};

export type Config = ServiceConfig & {
  /** `iss` of what is minted here: an origin, without a slash at the end. */
  readonly issuer: string;
  /** Origin of the api listener. */
  readonly apiUrl: string;
  readonly policy: PolicyDocument;
  readonly auditSinkUrl: string;
  /** Client of the pages' sign-in. */
  readonly approvalsClientId: string | undefined;
  readonly providerIssuer: string | undefined;
  readonly authManagerUrl: string | undefined;
  readonly exchangesPerMinute: number | undefined;
};

/**
 * The configuration, frozen.
 * @throws ConfigurationError listing every mistake, with what this environment refuses (R6).
 */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const read = parseSettings(settings, env);
  const policy = readDocument('POSTERN_POLICY_PATH', read.POSTERN_POLICY_PATH, policyDocument);
  const urls = {
    POSTERN_AUDIT_SINK_URL: read.POSTERN_AUDIT_SINK_URL,
    POSTERN_TOKEN_EXCHANGE_URL: read.POSTERN_TOKEN_EXCHANGE_URL,
    POSTERN_PROVIDER_ISSUER: read.POSTERN_PROVIDER_ISSUER,
    POSTERN_AUTH_MANAGER_URL: read.POSTERN_AUTH_MANAGER_URL,
  };
  const common = serviceConfig(read, { env, settings, urls });
  assertSameWorkloads(common.trust, policy);
  return Object.freeze({
    ...common,
    issuer: new URL(read.POSTERN_PUBLIC_URL).origin,
    apiUrl: new URL(read.POSTERN_TOKEN_EXCHANGE_URL).origin,
    policy,
    auditSinkUrl: read.POSTERN_AUDIT_SINK_URL,
    approvalsClientId: read.POSTERN_APPROVALS_CLIENT_ID,
    providerIssuer: read.POSTERN_PROVIDER_ISSUER,
    authManagerUrl: read.POSTERN_AUTH_MANAGER_URL && new URL(read.POSTERN_AUTH_MANAGER_URL).origin,
    exchangesPerMinute: read.POSTERN_EXCHANGES_PER_MINUTE,
  });
}

/** The policy speaks of workloads by name; the name must mean the certificate that the trust table means (R4). */
function assertSameWorkloads(trust: TrustTable, policy: PolicyDocument): void {
  const mistaken = mistakenWorkloads(trust, policy);
  if (mistaken.length === 0) return;
  throw new ConfigurationError(
    mistaken.map((name) => `POSTERN_POLICY_PATH: workload ${name} has another SPIFFE id in POSTERN_TRUST_PATH`),
  );
}
