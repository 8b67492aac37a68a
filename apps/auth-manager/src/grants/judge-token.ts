import { decodeJwt } from 'jose';
import { problem, type Secret } from '@postern/runtime';
import type { GrantKind } from '../db/schema.ts';
import type { Introspected } from '../provider/provider-calls.ts';
import type { Owner } from './grant.ts';

/** What a refresh token that somebody brings turned out to be. */
export type JudgedToken = {
  kind: GrantKind;
  session: string;
  acr: string | null;
  authTime: Date | null;
  idleSeconds: number | null;
};

/** A refresh token is opaque to a client; one that can be read, and says it is certificate-bound, would die with its certificate. */
export function isCertificateBound(token: Secret): boolean {
  try {
    const { cnf } = decodeJwt<{ cnf?: Record<string, unknown> }>(token.reveal());
    return cnf !== undefined && Object.hasOwn(cnf, 'x5t#S256');
  } catch {
    return false;
  }
}

/**
 * Judges a refresh token that is to be stored directly, by what the provider says of it (R18): it lives, is of our own
 * client, and of the very person who brings it. R9: one that is bound to a certificate is refused.
 * @throws Problem `refresh_token_refused`, whichever of the first three it is; `certificate_bound_token`.
 */
export function judgeToken(
  token: Secret,
  said: Introspected,
  { owner, client, now }: { owner: Owner; client: string; now: Date },
): JudgedToken {
  const own = said.active && said.client === client && said.issuer === owner.issuer && said.sub === owner.sub;
  if (!own || said.kind === 'other') throw problem('refresh_token_refused');
  if (said.certificateBound || isCertificateBound(token)) throw problem('certificate_bound_token');
  const left = said.expiresAt ? Math.floor((said.expiresAt.getTime() - now.getTime()) / 1000) : 0;
  return {
    kind: said.kind,
    session: said.session ?? '',
    acr: said.acr ?? null,
    authTime: said.authTime ?? null,
    idleSeconds: left > 0 ? left : null,
  };
}
