import { createHash } from 'node:crypto';
import { type IncomingMessage } from 'node:http';
import { type TLSSocket } from 'node:tls';

import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose';

import { type ProviderState } from './provider-state.ts';
import { fapiKindOf, type RealmClient } from './realm.ts';
import { invalidGrant, invalidRequest, OAuthRefusal } from './refusal.ts';
import { type TokenBinding } from './tokens.ts';

/** Longest age of a DPoP proof, in seconds. */
const proofSeconds = 60;

/** SHA-256 of the client certificate on this connection, base64url (RFC 8705, 3.1); undefined without a verified one. */
export function certificateThumbprint(request: IncomingMessage): string | undefined {
  const certificate = peerCertificate(request);
  return certificate && createHash('sha256').update(certificate.raw).digest('base64url');
}

/** The verified client certificate on this connection. */
export function peerCertificate(request: IncomingMessage) {
  const socket = request.socket as TLSSocket;
  return socket.authorized ? socket.getPeerX509Certificate() : undefined;
}

/**
 * Checks the DPoP proof of a request (RFC 9449, 4.3).
 * @param url the address that the proof must name, without query
 * @param token the access token that it must be for, at a protected resource
 * @returns the thumbprint of its key; undefined when there is no proof
 * @throws OAuthRefusal invalid_request with Keycloak's words
 */
export async function dpopThumbprint(
  state: ProviderState,
  request: IncomingMessage,
  url: string,
  token?: string,
): Promise<string | undefined> {
  const proof = request.headers['dpop'];
  if (proof === undefined) return undefined;
  if (typeof proof !== 'string') throw invalidRequest('DPoP proof is not unique');
  const verified = await jwtVerify(proof, EmbeddedJWK, {
    typ: 'dpop+jwt',
    algorithms: ['ES256', 'PS256', 'EdDSA'],
  }).catch(() => {
    throw invalidRequest('DPoP header verification failure');
  });
  const { payload, protectedHeader } = verified;
  if (payload['htm'] !== request.method) throw invalidRequest('DPoP HTTP method mismatch');
  if (payload['htu'] !== url) throw invalidRequest('DPoP HTTP URL mismatch');
  if (typeof payload.iat !== 'number' || Math.abs(state.nowSeconds() - payload.iat) > proofSeconds) {
    throw invalidRequest('DPoP proof is not active');
  }
  if (token !== undefined && payload['ath'] !== createHash('sha256').update(token).digest('base64url')) {
    throw invalidRequest('DPoP proof access token hash verification failure');
  }
  if (typeof payload.jti !== 'string' || !state.sessions.useOnce('dpop', payload.jti, 2 * proofSeconds)) {
    throw invalidRequest('DPoP proof has already been used');
  }
  if (!protectedHeader.jwk) throw invalidRequest('DPoP header verification failure');
  return calculateJwkThumbprint(protectedHeader.jwk);
}

/**
 * What the tokens for this request are to be bound to, by the client's own setting.
 * @throws OAuthRefusal when the client is to be bound and brings nothing
 */
export async function requestBinding(
  state: ProviderState,
  client: RealmClient,
  request: IncomingMessage,
): Promise<TokenBinding> {
  const jkt = await dpopThumbprint(state, request, `${state.issuer}/protocol/openid-connect/token`);
  if (client.binding === 'dpop' && !jkt) throw invalidRequest('DPoP proof is missing');
  if (client.binding !== 'certificate') return jkt ? { jkt } : {};
  const thumbprint = certificateThumbprint(request);
  if (!thumbprint) throw invalidGrant('Client Certification missing for MTLS HoK Token Binding');
  return { thumbprint };
}

/**
 * FAPI 2.0: whoever ends a certificate-bound token must hold it.
 * @throws OAuthRefusal not_allowed
 */
export function assertHolder(
  state: ProviderState,
  client: RealmClient,
  request: IncomingMessage,
  claims: { cnf?: { 'x5t#S256'?: string } },
): void {
  const bound = claims.cnf?.['x5t#S256'];
  if (!bound || fapiKindOf(client, state.profile) !== 'certificate' || bound === certificateThumbprint(request)) return;
  const description = 'Client certificate missing, or its thumbprint and one in the token did NOT match';
  throw new OAuthRefusal(401, 'not_allowed', description);
}
