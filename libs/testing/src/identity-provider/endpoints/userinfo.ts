import { type IncomingMessage, type ServerResponse } from 'node:http';

import { type JWTPayload } from 'jose';

import { type ProviderState } from '../provider-state.ts';
import { certificateThumbprint, dpopThumbprint } from '../sender-binding.ts';
import { isActive } from '../tokens.ts';

type Claims = JWTPayload & { cnf?: { 'x5t#S256'?: string; jkt?: string }; scope?: string };

/** OpenID Connect Core 1.0, 5.3; a bound token only from its holder. */
export async function userinfo(
  state: ProviderState,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const refuse = (status: number, error: string, description: string) =>
    response
      .writeHead(status, {
        'Content-Type': 'application/json',
        'WWW-Authenticate': `Bearer realm="${state.realm.name}", error="${error}", error_description="${description}"`,
      })
      .end(JSON.stringify({ error, error_description: description }));

  const [scheme = '', token = ''] = (request.headers.authorization ?? '').split(' ');
  const verified = await state.keys.verify(token);
  const claims = verified?.typ === 'at+jwt' ? (verified.payload as Claims) : undefined;
  if (!claims || !isActive(state, claims)) return void refuse(401, 'invalid_token', 'Token verification failed');
  if (claims.cnf?.['x5t#S256'] && claims.cnf['x5t#S256'] !== certificateThumbprint(request)) {
    return void refuse(401, 'invalid_token', 'Client certificate missing, or its thumbprint does not match');
  }
  if (claims.cnf?.jkt) {
    const url = `${state.issuer}/protocol/openid-connect/userinfo`;
    const jkt = scheme.toLowerCase() === 'dpop' ? await dpopThumbprint(state, request, url, token).catch(() => '') : '';
    if (jkt !== claims.cnf.jkt)
      return void refuse(401, 'invalid_token', 'DPoP proof and token binding verification failed');
  }
  if (!claims.scope?.split(' ').includes('openid'))
    return void refuse(403, 'insufficient_scope', 'Missing openid scope');
  const user = state.userById(claims.sub ?? '');
  if (!user) return void refuse(401, 'invalid_token', 'User not found');
  const body = {
    sub: user.id,
    email_verified: true,
    name: `${user.firstName} ${user.lastName}`,
    preferred_username: user.username,
    given_name: user.firstName,
    family_name: user.lastName,
    email: user.email,
  };
  response
    .writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
    .end(JSON.stringify(body));
}
