import type { Egress } from '@postern/egress';
import { EgressRefused } from '@postern/egress';
import type { Profile } from '@postern/profile';
import { problem } from '@postern/runtime';
import { z } from 'zod';

const endpoint = z.url({ protocol: /^https$/ }).max(512);
const names = z.array(z.string().max(128)).max(256);

/** What of a provider's metadata counts here (OpenID Connect Discovery 1.0, RFC 8414). */
const metadata = z.looseObject({
  issuer: z.string().max(512),
  authorization_endpoint: endpoint,
  token_endpoint: endpoint,
  jwks_uri: endpoint,
  introspection_endpoint: endpoint.optional(),
  revocation_endpoint: endpoint.optional(),
  pushed_authorization_request_endpoint: endpoint.optional(),
  end_session_endpoint: endpoint.optional(),
  code_challenge_methods_supported: names,
  // What is left out means `client_secret_basic` (Discovery 1.0, section 3).
  token_endpoint_auth_methods_supported: names.default(['client_secret_basic']),
  response_modes_supported: names.optional(),
  backchannel_logout_supported: z.boolean().optional(),
  authorization_response_iss_parameter_supported: z.boolean().optional(),
});

/** What a provider offers, as far as this service makes use of it. */
export type Offers = {
  pushed_requests: boolean;
  signed_responses: boolean;
  issuer_in_responses: boolean;
  backchannel_logout: boolean;
  end_session: boolean;
  /** Without it a token lives on there after it was forgotten here. Needed above low (R18). */
  revocation: boolean;
  /** Without it nobody can ask what became of a token (R18, R20). Needed above low. */
  introspection: boolean;
};

export type ClientMethod = 'private_key_jwt' | 'client_secret_basic';

const LIMIT_BYTES = 256 * 1024;

/**
 * Reads the metadata of a provider that somebody named, through the guarded way out (R35).
 * @throws Problem `provider_unfit` naming the first member that is missing or wrong: another issuer, no PKCE S256, no
 *   the client's method; under FAPI 2.0 a client secret, no pushed requests, no revocation (R18) or introspection (R11); in
 *   high no JARM.
 *   `provider_unavailable` where it cannot be reached, `address_refused` where it must not be.
 */
export async function discover(
  egress: Egress,
  issuer: string,
  profile: Pick<Profile, 'fapi' | 'signedAuthorizationResponses'>,
  by: ClientMethod,
): Promise<Offers> {
  if (profile.fapi && by !== 'private_key_jwt') throw unfit('client_secret', 'not_in_profile');
  const said = await fetchMetadata(egress, issuer);
  const parsed = metadata.safeParse(said);
  if (!parsed.success) throw unfit(String(parsed.error.issues[0]?.path[0] ?? 'metadata'), 'missing_or_wrong');
  const found = parsed.data;
  if (found.issuer !== issuer) throw unfit('issuer', 'other_issuer');
  if (!found.code_challenge_methods_supported.includes('S256')) {
    throw unfit('code_challenge_methods_supported', 'no_s256');
  }
  if (!found.token_endpoint_auth_methods_supported.includes(by)) {
    throw unfit('token_endpoint_auth_methods_supported', `no_${by}`);
  }
  const needed = ['pushed_authorization_request_endpoint', 'introspection_endpoint', 'revocation_endpoint'] as const;
  const missing = needed.find((name) => found[name] === undefined);
  if (profile.fapi && missing) throw unfit(missing, 'missing');
  const signs = found.response_modes_supported?.includes('jwt') ?? false;
  if (profile.signedAuthorizationResponses && !signs) throw unfit('response_modes_supported', 'no_jwt');
  return {
    pushed_requests: found.pushed_authorization_request_endpoint !== undefined,
    signed_responses: signs,
    issuer_in_responses: found.authorization_response_iss_parameter_supported ?? false,
    backchannel_logout: found.backchannel_logout_supported ?? false,
    end_session: found.end_session_endpoint !== undefined,
    revocation: found.revocation_endpoint !== undefined,
    introspection: found.introspection_endpoint !== undefined,
  };
}

const unfit = (field: string, rule: string) => problem('provider_unfit', { fields: [{ field, rule }] });

async function fetchMetadata(egress: Egress, issuer: string): Promise<unknown> {
  try {
    const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const answer = await egress.request(url, { headers: { accept: 'application/json' }, maxBytes: LIMIT_BYTES });
    if (answer.status !== 200) throw problem('provider_unavailable');
    return JSON.parse(Buffer.from(answer.body).toString('utf8')) as unknown;
  } catch (cause) {
    if (cause instanceof SyntaxError)
      throw problem('provider_unfit', { fields: [{ field: 'metadata', rule: 'no_json' }] });
    if (!(cause instanceof EgressRefused)) throw cause;
    const refused = ['address_refused', 'host_not_listed', 'not_https', 'credentials_in_url', 'malformed_url'];
    throw problem(refused.includes(cause.reason) ? 'address_refused' : 'provider_unavailable', { cause });
  }
}
