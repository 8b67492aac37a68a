import { checkClientAssertion, TokenRefused, type UseOnce } from '@postern/oidc';
import type { ClientSecrets, PolicyDocument } from '@postern/policy';
import type { Profile } from '@postern/profile';
import { problem, type Secret } from '@postern/runtime';
import { z } from 'zod';
import type { PolicyStore } from '../policy/policy-store.ts';

export type AuthenticateClient = {
  issuer: { issuer: string };
  profile: Profile;
  policies: Pick<PolicyStore, 'current'>;
  useOnce: UseOnce;
  secrets: ClientSecrets;
  /** Counts an attempt whose outcome is not known before it is made. @throws Problem `too_many_requests` */
  attempt: (address: string) => Promise<void>;
  now: () => Date;
};

/** What a client without a certificate may send beside the form of an endpoint (RFC 7521 section 4.2). */
export const clientCredentials = {
  client_id: z.string().max(128).optional().describe('the client, where its assertion does not say'),
  client_assertion_type: z.literal('urn:ietf:params:oauth:client-assertion-type:jwt-bearer').optional(),
  client_assertion: z
    .string()
    .min(1)
    .max(8_192)
    .optional()
    .describe('a JWT by its key, for this endpoint, once (RFC 7523)'),
};

export type ClientCredentials = z.output<z.ZodObject<typeof clientCredentials>>;
type Request = { authorization: Secret | null; address: string };

/**
 * The workload of a client without a certificate: by `private_key_jwt`, or in the low profile by HTTP Basic (RFC 6749 section
 * 2.3.1), never by both.
 * @throws Problem `invalid_client`, one answer whatever is wrong; `several_methods`
 */
export async function authenticateClient(
  deps: AuthenticateClient,
  credentials: ClientCredentials,
  { authorization, address }: Request,
): Promise<string> {
  const { document } = await deps.policies.current();
  const { client_assertion: assertion, client_assertion_type: type, client_id: named } = credentials;
  if (assertion !== undefined && authorization !== null) throw problem('several_methods');
  if (assertion === undefined && authorization === null) throw refused(deps);
  if (assertion !== undefined && type === undefined) throw refused(deps);
  const client =
    assertion !== undefined
      ? await byAssertion(deps, document, assertion)
      : await bySecret(deps, document, authorization?.reveal() ?? '', address);
  const workload = workloadOf(document, client);
  if (!workload || (named !== undefined && named !== client)) throw refused(deps);
  return workload.name;
}

function byAssertion(deps: AuthenticateClient, policy: PolicyDocument, assertion: string): Promise<string> {
  const { issuer, profile, useOnce, now } = deps;
  const keysOf = (client: string) => workloadOf(policy, client)?.clientKeys;
  const check = { assertion, audience: issuer.issuer, keysOf, algorithms: profile.verifyAlgs, useOnce, now };
  return checkClientAssertion(check).catch((cause: unknown) => {
    throw cause instanceof TokenRefused ? refused(deps, cause) : cause;
  });
}

async function bySecret(deps: AuthenticateClient, policy: PolicyDocument, header: string, address: string) {
  const { profile, secrets, attempt } = deps;
  if (profile.senderBinding !== 'optional') throw refused(deps);
  for (const { client, secret } of basicCredentials(header)) {
    const hashes = workloadOf(policy, client)?.clientSecrets ?? [];
    if (secrets.known(secret, hashes)) return client;
    // Before the work of looking: whoever guesses gets few guesses, and cannot keep the machine busy.
    await attempt(address);
    if (await secrets.verify(secret, hashes)) return client;
  }
  throw refused(deps);
}

/** The id and the secret are form-encoded before they are joined (RFC 6749 section 2.3.1); many clients leave that out. */
function basicCredentials(header: string): { client: string; secret: string }[] {
  const [, encoded] = /^Basic +([A-Za-z0-9+/]{1,2048}={0,2})$/i.exec(header) ?? [];
  const text = encoded === undefined ? '' : Buffer.from(encoded, 'base64').toString('utf8');
  const at = text.indexOf(':');
  if (at < 1) return [];
  const plain = { client: text.slice(0, at), secret: text.slice(at + 1) };
  const decoded = { client: formDecoded(plain.client), secret: formDecoded(plain.secret) };
  const same = decoded.client === plain.client && decoded.secret === plain.secret;
  return same ? [plain] : [decoded, plain];
}

function formDecoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}

/** RFC 6749 section 5.2: a client that may use the Authorization header is told so. */
function refused({ profile }: AuthenticateClient, cause?: unknown) {
  const basic = profile.senderBinding === 'optional';
  return problem('invalid_client', {
    cause,
    ...(basic && { headers: { 'www-authenticate': 'Basic realm="postern"' } }),
  });
}

const workloadOf = ({ workloads }: PolicyDocument, client: string) =>
  workloads.find((workload) => (workload.client ?? workload.name) === client);
