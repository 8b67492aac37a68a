/** Why a choice that the design names is not offered, in the words that its user reads. */
export const SMS_REASON =
  'codes by SMS are not offered: they can be intercepted and redirected, NIST SP 800-63B restricts them, and Keycloak sends none';
export const R9_REASON =
  'offline tokens of a certificate-bound client die with its certificate (R9): bind them by DPoP (certificate_bound_tokens = false)';
export const PUBLIC_FAPI_REASON =
  'FAPI 2.0 admits confidential clients only (5.3.2.1): this one gets OAuth 2.1 for public clients, with PAR, PKCE and DPoP';
export const PUBLIC_FAPI_SUGGESTION =
  'a confidential backend for the browser application: type = "confidential", with a certificate or private_key_jwt';
