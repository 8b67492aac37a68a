import { uuidv7 } from '@postern/runtime';
import { SignJWT, type JSONWebKeySet } from 'jose';
import { keyTimes, type KeyTimes } from './key-times.ts';
import { ASSERTION_TYPE, type Query, type Seal } from './ports.ts';
import { keySetOf, openSigningKeys, type SigningKeys } from './signing-keys.ts';

export type AssertionsSpec = {
  query: Query;
  seal: Seal;
  /** The `iss` of its assertions: an https origin, without a slash at the end, that the clouds reach. */
  issuer: string;
  now?: () => Date;
  times?: KeyTimes;
};

/** Assertions for another party's federation, which gives credentials of its own for them (RFC 7523): no token of Postern's. */
export type Assertions = {
  /** Signs one: who, for which audience, for five minutes. Its `typ` is none of the kinds that a service of Postern takes. */
  assert(claims: { sub: string; aud: string }): Promise<string>;
  /** The public keys of assertions and of nothing else (R7), with those that will sign next. */
  jwks(): Promise<JSONWebKeySet>;
  /** OpenID Connect Discovery 1.0 section 3, as far as a federation reads it. */
  metadata(): { issuer: string; jwks_uri: string } & Record<string, unknown>;
  /** Makes the next key and publishes it; it signs once every cloud has had time to see it (R13). */
  rotate(): Promise<void>;
};

/** Where the set is published. It is not the issuer's own: no cloud gets to know the keys of tokens, no service of ours this one. */
export const ASSERTION_KEYS_PATH = '/.well-known/assertion-keys.json';

/**
 * RS256: the only one that all of AWS STS, Entra ID and Google document for the issuers that they trust (ADR 72). None of the
 * profiles takes it for a token of Postern's.
 */
const ASSERTION_ALG = 'RS256';
const ASSERTION_SECONDS = 300;

/** The keys lie beside the issuer's (`issuer_keys`), of a kind of their own; the first is made when one is first asked for. */
export function openAssertions({
  query,
  seal,
  issuer,
  now = () => new Date(),
  times = keyTimes,
}: AssertionsSpec): Assertions {
  let opening: Promise<SigningKeys> | null = null;

  const keys = () =>
    (opening ??= openSigningKeys({
      query,
      seal,
      kinds: [ASSERTION_TYPE],
      alg: ASSERTION_ALG,
      longestLifeSeconds: ASSERTION_SECONDS,
      times,
      now,
    }).catch((error: unknown) => {
      opening = null;
      throw error;
    }));

  return {
    async assert({ sub, aud }) {
      const { alg, kid, privateKey } = await (await keys()).signing(ASSERTION_TYPE);
      const iat = Math.floor(now().getTime() / 1000);
      const claims = { iss: issuer, sub, aud, iat, exp: iat + ASSERTION_SECONDS, jti: uuidv7(now().getTime()) };
      return new SignJWT(claims).setProtectedHeader({ alg, typ: ASSERTION_TYPE, kid }).sign(privateKey);
    },
    jwks: async () => keySetOf(await (await keys()).published()),
    metadata: () => ({
      issuer,
      jwks_uri: `${issuer}${ASSERTION_KEYS_PATH}`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: [ASSERTION_ALG],
      claims_supported: ['iss', 'sub', 'aud', 'iat', 'exp', 'jti'],
    }),
    rotate: async () => (await keys()).rotate(),
  };
}
