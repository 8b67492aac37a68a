import { z } from 'zod';
import type { Binding, Person } from './principal.ts';
import type { TokenKind } from './token-kinds.ts';
import { TokenRefused } from './token-refused.ts';
import { tenantId } from './tenant-id.ts';
import type { IssuerEntry } from './trust-table.ts';

const text = z.string().min(1).max(512);
/** What events name an actor by: no longer than they take it. A `sub` has at most 255 characters (OpenID Connect Core, section 2). */
const name = z.string().min(1).max(256);
const seconds = z.number().int().positive().max(253_402_300_799);

const cnf = z.looseObject({ 'x5t#S256': z.string().length(43).optional(), jkt: z.string().length(43).optional() });

const common = z.looseObject({
  iss: name,
  sub: name,
  aud: z.union([text, z.array(text).min(1).max(32)]),
  exp: seconds,
  iat: seconds,
  nbf: seconds.optional(),
  jti: text.max(256).optional(),
  sid: text.max(256).optional(),
  scope: z.string().max(4_096).optional(),
  cnf: cnf.optional(),
});

const rolesOf = z.array(z.string().max(128)).max(256);

const providerClaims = common.extend({
  azp: name.optional(),
  client_id: name.optional(),
  preferred_username: z.string().max(512).optional(),
  resource_access: z.record(z.string(), z.looseObject({ roles: rolesOf.optional() })).optional(),
});

/** What every Postern token carries beside the common claims: the tenant and, for a person, who first named them (R3). */
const posternClaims = common.extend({
  jti: text.max(256),
  client_id: name,
  tenant: tenantId,
  subject_issuer: name.optional(),
  roles: rolesOf.optional(),
  scope: z.string().max(4_096),
  act: z.unknown().optional(),
});

const grantClaims = posternClaims.extend({ aud: text, grant_id: text.max(256), cnf });

/** The parts of a principal that the claims decide, once for all uses of the token. */
export type Judged = {
  tenant: string;
  person: Person | null;
  clientId: string;
  audiences: readonly string[];
  scopes: ReadonlySet<string>;
  roles: ReadonlySet<string>;
  sessionId: string | undefined;
  tokenId: string | undefined;
  actors: readonly string[];
  binding: Binding;
  /** Milliseconds since the epoch. */
  notBefore: number;
  issuedAt: number;
  expires: number;
};

/**
 * Reads the claims of a verified token of that kind.
 * @param audience whose own roles count (R3)
 * @throws TokenRefused `bad_claims`
 */
export function judgeClaims(kind: TokenKind, entry: IssuerEntry, claims: unknown, audience: string): Judged {
  const specific =
    kind === 'provider-access' || kind === 'id-token'
      ? providerParts(entry, claims, audience, kind === 'id-token')
      : posternParts(kind, entry, claims);
  const { base, ...parts } = specific;
  const given = new Set((base.scope ?? '').split(' ').filter(Boolean));
  const ceiling = entry.scopeCeiling;
  return {
    ...parts,
    audiences: Array.isArray(base.aud) ? base.aud : [base.aud],
    scopes: ceiling === 'policy' ? given : new Set(ceiling.filter((scope) => given.has(scope))),
    sessionId: base.sid,
    tokenId: base.jti,
    binding: bindingOf(base.cnf),
    notBefore: Math.max(base.nbf ?? 0, base.iat) * 1000,
    issuedAt: base.iat * 1000,
    expires: base.exp * 1000,
  };
}

function providerParts(entry: IssuerEntry, claims: unknown, audience: string, idToken: boolean) {
  const base = parsed(providerClaims, claims);
  const [only, ...more] = [base.aud].flat();
  const clientId = base.azp ?? base.client_id ?? (idToken && more.length === 0 ? only : undefined);
  if (clientId === undefined || (base.client_id !== undefined && base.client_id !== clientId)) throw bad();
  // A client that logged itself in: RFC 9068 puts its id into `sub`; a realm may name its service account instead,
  // and then there is no session (a person's token always has one).
  const itself =
    base.sub === clientId || (base.sid === undefined && base.preferred_username === `service-account-${clientId}`);
  return {
    base,
    tenant: tenantOf(entry, claims),
    person: itself ? null : { issuer: base.iss, sub: base.sub },
    clientId,
    roles: new Set(base.resource_access?.[audience]?.roles),
    actors: [],
  };
}

function posternParts(kind: 'postern-access' | 'grant', entry: IssuerEntry, claims: unknown) {
  const base = parsed(kind === 'grant' ? grantClaims : posternClaims, claims);
  const itself = base.subject_issuer === undefined;
  // Without an original issuer the token speaks for a workload: a grant never does, and a workload is its own client.
  if (itself && kind === 'grant') throw bad();
  return {
    base,
    tenant: tenantOf(entry, claims),
    person: base.subject_issuer === undefined ? null : { issuer: base.subject_issuer, sub: base.sub },
    clientId: base.client_id,
    roles: new Set(base.roles),
    actors: actorChain(base.act),
  };
}

/** R1: a fixed tenant ignores the claim; otherwise the claim must be there, well formed, and under the prefix. */
function tenantOf({ tenant }: IssuerEntry, claims: unknown): string {
  if ('fixed' in tenant) return tenant.fixed;
  const claimed = parsed(z.looseObject({ tenant: tenantId }), claims).tenant;
  if (tenant.prefix !== undefined && !claimed.startsWith(tenant.prefix)) throw bad();
  return claimed;
}

export const MAX_ACTORS = 8;
const actor = z.strictObject({ sub: name, iss: text.optional(), act: z.unknown().optional() });

/** The `act` claim as a list, newest actor first (RFC 8693 section 4.1). @throws TokenRefused `bad_claims` */
export function actorChain(act: unknown): readonly string[] {
  const chain: string[] = [];
  for (let next = act; next !== undefined;) {
    const { sub, act: earlier } = parsed(actor, next);
    chain.push(sub);
    if (chain.length > MAX_ACTORS) throw bad();
    next = earlier;
  }
  return chain;
}

/** A `cnf` that names no method known here is refused, not read as unbound. */
function bindingOf(confirmation: z.output<typeof cnf> | undefined): Binding {
  if (confirmation === undefined) return { kind: 'none' };
  const { 'x5t#S256': thumbprint, jkt } = confirmation;
  if (thumbprint !== undefined && jkt === undefined) return { kind: 'certificate', thumbprint };
  if (jkt !== undefined && thumbprint === undefined) return { kind: 'dpop', jkt };
  throw bad();
}

function parsed<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const { success, data } = schema.safeParse(value);
  if (!success) throw bad();
  return data;
}

const bad = () => new TokenRefused('bad_claims');
