import { GetOpenIDConnectProviderCommand, GetRoleCommand, type IAMClient } from '@aws-sdk/client-iam';
import { createLocalJWKSet, decodeJwt, jwtVerify, type JSONWebKeySet, type JWTPayload } from 'jose';
import { publishedKeys } from '../run/published-keys.ts';

/** What STS verifies: IAM User Guide, "Create an OpenID Connect (OIDC) identity provider in IAM", prerequisites. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512'];

/** Why STS refuses, with the code that it answers. */
export class StsRefusal extends Error {
  readonly code: 'InvalidIdentityToken' | 'ExpiredTokenException' | 'AccessDenied' | 'IDPCommunicationError';
  constructor(code: StsRefusal['code'], message: string) {
    super(message);
    this.code = code;
  }
}

type Statement = {
  Effect: string;
  Principal?: { Federated?: string | string[] };
  Action: string | string[];
  Condition?: Record<string, Record<string, string | string[]>>;
};

const listOf = <T>(value: T | T[] | undefined): T[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];
const withoutScheme = (issuer: string): string => issuer.replace(/^https:\/\//, '');

/**
 * Decides as STS does for AssumeRoleWithWebIdentity (IAM User Guide, "Creating OpenID Connect identity providers" and
 * "Create a role for OpenID Connect federation"): the token's issuer is a registered provider, its signature verifies
 * with the keys that the issuer publishes, it has not expired, its audience is in the provider's list of client ids, and
 * a statement of the role's trust policy names that provider with conditions that the token's claims meet.
 * @param ca PEM of the authority that signed the issuer's certificate.
 * @throws StsRefusal
 */
export async function assumable(
  iam: IAMClient,
  { roleArn, token, ca }: { roleArn: string; token: string; ca: string },
): Promise<void> {
  const issuer = issuerOf(token);
  const account = roleArn.split(':')[4] ?? '';
  const providerArn = `arn:aws:iam::${account}:oidc-provider/${withoutScheme(issuer)}`;
  const provider = await iam
    .send(new GetOpenIDConnectProviderCommand({ OpenIDConnectProviderArn: providerArn }))
    .catch(() => null);
  if (provider === null)
    throw new StsRefusal('InvalidIdentityToken', 'No OpenIDConnect provider found in your account');
  const claims = await verified(token, issuer, ca);
  if (!listOf(claims.aud).some((one) => provider.ClientIDList?.includes(one))) {
    throw new StsRefusal('InvalidIdentityToken', 'Incorrect token audience');
  }
  const role = await iam.send(new GetRoleCommand({ RoleName: roleArn.split('/').at(-1) ?? '' })).catch(() => null);
  const policy = role?.Role?.AssumeRolePolicyDocument;
  const statements = policy === undefined ? [] : statementsOf(decodeURIComponent(policy));
  if (!statements.some((statement) => allows(statement, providerArn, withoutScheme(issuer), claims))) {
    throw new StsRefusal('AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity');
  }
}

export const statementsOf = (policy: string): Statement[] =>
  listOf((JSON.parse(policy) as { Statement: Statement | Statement[] }).Statement);

function allows(
  { Effect, Principal, Action, Condition = {} }: Statement,
  provider: string,
  prefix: string,
  claims: JWTPayload,
) {
  if (Effect !== 'Allow' || !listOf(Action).includes('sts:AssumeRoleWithWebIdentity')) return false;
  if (!listOf(Principal?.Federated).includes(provider)) return false;
  // Without a condition on the subject every token of the issuer could take the role: IAM warns, this refuses.
  const equals = Condition['StringEquals'] ?? {};
  if (Object.keys(Condition).some((operator) => operator !== 'StringEquals')) return false;
  if (equals[`${prefix}:sub`] === undefined) return false;
  return Object.entries(equals).every(([key, wanted]) => {
    const claim = claims[key.slice(prefix.length + 1)];
    return (
      key.startsWith(`${prefix}:`) && listOf(claim as string | string[]).some((one) => listOf(wanted).includes(one))
    );
  });
}

function issuerOf(token: string): string {
  try {
    return decodeJwt(token).iss ?? '';
  } catch {
    throw new StsRefusal('InvalidIdentityToken', 'The ID Token provided is not a valid JWT');
  }
}

async function verified(token: string, issuer: string, ca: string): Promise<JWTPayload> {
  let keys: JSONWebKeySet;
  try {
    keys = await publishedKeys(issuer, ca);
  } catch {
    throw new StsRefusal('IDPCommunicationError', 'Could not reach the identity provider');
  }
  try {
    const asked = { issuer, algorithms: ALGORITHMS, requiredClaims: ['exp', 'sub', 'aud'] };
    return (await jwtVerify(token, createLocalJWKSet(keys), asked)).payload;
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_JWT_EXPIRED') {
      throw new StsRefusal('ExpiredTokenException', 'Token expired');
    }
    throw new StsRefusal('InvalidIdentityToken', "Couldn't verify the token's signature with its issuer's keys");
  }
}
