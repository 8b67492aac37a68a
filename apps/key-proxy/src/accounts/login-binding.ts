import { type RequestFacts } from '@postern/http';
import { type Binding, checkDpopProof, TokenRefused, type UseOnce } from '@postern/oidc';
import { type Profile } from '@postern/profile';
import { type Now, problem } from '@postern/runtime';

/** `useOnce`: single use of DPoP proofs (R16). */
export type LoginBinding = { profile: Profile; useOnce: UseOnce; now: Now };

/**
 * What the token of a login is bound to (R17): the certificate of the connection, or where there is none the key of the
 * request's DPoP proof (RFC 9449 section 5). Only the low profile gives a token that is bound to nothing.
 * @throws Problem `invalid_dpop_proof`; `binding_required` where the profile asks for what the request does not bring
 */
export async function loginBinding(
  { profile, useOnce, now }: LoginBinding,
  { certificateThumbprint, dpop, url }: Pick<RequestFacts, 'certificateThumbprint' | 'dpop' | 'url'>,
): Promise<Binding> {
  if (certificateThumbprint !== null) return { kind: 'certificate', thumbprint: certificateThumbprint };
  if (dpop !== null && !profile.certificateBoundTokens) {
    const check = { proof: dpop, method: 'POST', url, algorithms: profile.verifyAlgs, useOnce, now };
    return { kind: 'dpop', jkt: await checkDpopProof(check).catch(refused) };
  }
  if (profile.senderBinding === 'optional') return { kind: 'none' };
  throw problem('binding_required');
}

function refused(cause: unknown): never {
  throw cause instanceof TokenRefused ? problem('invalid_dpop_proof', { cause }) : cause;
}
