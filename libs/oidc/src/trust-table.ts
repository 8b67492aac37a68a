import { z } from 'zod';
import { revocationKinds } from './revocations/revocation.ts';
import { tenantId } from './tenant-id.ts';
import { tokenKindNames, tokenKinds, type TokenKind } from './token-kinds.ts';

const httpsUrl = z
  .url({ protocol: /^https$/ })
  .refine((value) => !value.includes('#'), 'no fragment')
  .max(512);
const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/, 'one scope token (RFC 6749 section 3.3)');
const name = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/);

/** Asymmetric and not brittle: no `none`, no HMAC, no RSA PKCS#1 v1.5 but RS256 (a realm's default). */
export const signatureAlgorithms = ['ES256', 'ES384', 'PS256', 'PS384', 'EdDSA', 'RS256'] as const;

const tenantRule = z.union([
  z.strictObject({ fixed: tenantId }).describe('every token of this issuer is of this tenant; a claim is ignored'),
  z
    .strictObject({ claim: z.literal('tenant'), prefix: z.string().min(1).max(32).optional() })
    .describe('the tenant claim counts; with a prefix, only tenants that begin with it'),
]);

/** One line of the operator's table (R1): what may come from this issuer, under which algorithms, and for which tenant. */
export const issuerEntry = z
  .strictObject({
    issuer: httpsUrl.describe('exactly the `iss` claim'),
    jwksUri: httpsUrl.describe('where its public keys are read; never taken from a token'),
    authority: z
      .enum(['services', 'public'])
      .optional()
      .describe('who vouches for its servers: the authority of services, or a public one too; absent: `services`'),
    kinds: z.array(z.enum(tokenKindNames as [TokenKind, ...TokenKind[]])).min(1),
    algorithms: z.array(z.enum(signatureAlgorithms)).min(1),
    audiences: z
      .array(name)
      .min(1)
      .optional()
      .describe('the services that take this issuer’s tokens; absent: each that lists it'),
    scopeCeiling: z
      .union([z.array(scope), z.literal('policy')])
      .describe('the most that its tokens may carry or lead to; `policy` leaves it to the policy document'),
    tenant: tenantRule,
    introspectionUri: httpsUrl
      .optional()
      .describe('where it is asked about its tokens (RFC 7662) while its revocations are not known here (R14)'),
  })
  .refine(
    ({ kinds }) => new Set(kinds.map((kind) => tokenKinds[kind].typ)).size === kinds.length,
    'two kinds of one issuer share a typ header (R7)',
  );

export type IssuerEntry = z.output<typeof issuerEntry>;

/** A workload and the SPIFFE id its certificate carries (R4). */
export const workloadIdentity = z.strictObject({ name, spiffeId: z.url({ protocol: /^spiffe$/ }).max(256) });

const distinct = (values: readonly string[]) => new Set(values).size === values.length;

/** An issuer of revocations (R14): whose sequence this service follows before it calls a token alive. */
export const revocationIssuer = z.strictObject({
  issuer: httpsUrl.describe('the `iss` of its signed heads'),
  kinds: z.array(z.enum(revocationKinds)).min(1).describe('what it may revoke; of tokens and keys, only its own'),
  uri: httpsUrl.describe('its `/v1/revocations` on the api listener'),
  jwksUri: httpsUrl,
  algorithms: z.array(z.enum(signatureAlgorithms)).min(1),
});

export type RevocationIssuer = z.output<typeof revocationIssuer>;

/**
 * The file at POSTERN_TRUST_PATH: the trust domain, its workloads (R4), the issuers this service believes (R1), and
 * whose revocations it follows (R14).
 */
export const trustTable = z
  .strictObject({
    $schema: z.string().optional(),
    trustDomain: z.string().regex(/^[a-z0-9](?:[a-z0-9.-]{0,253}[a-z0-9])?$/),
    workloads: z.array(workloadIdentity),
    issuers: z.array(issuerEntry),
    revocations: z.array(revocationIssuer).max(16).optional(),
  })
  .refine(({ workloads }) => distinct(workloads.map((w) => w.name)), 'a workload is named twice')
  .refine(({ workloads }) => distinct(workloads.map((w) => w.spiffeId)), 'a SPIFFE id is named twice')
  .refine(({ issuers }) => distinct(issuers.map((entry) => entry.issuer)), 'an issuer is named twice')
  .refine(({ issuers }) => distinct(issuers.map((entry) => entry.jwksUri)), 'two issuers share a key set (R7)')
  .refine(
    ({ trustDomain, workloads }) => workloads.every((w) => w.spiffeId.startsWith(`spiffe://${trustDomain}/`)),
    'a SPIFFE id lies outside the trust domain',
  );

export type TrustTable = z.output<typeof trustTable>;
