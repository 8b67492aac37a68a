/** What any route may answer that calls a provider. */
export const PROVIDER_PROBLEMS = [
  'person_required',
  'provider_unavailable',
  'provider_address_refused',
  'provider_unreachable',
  'provider_throttled',
  'provider_forbidden',
  'provider_credentials_refused',
  'provider_unsupported',
  'provider_failed',
  'secret_missing',
  'version_missing',
  'secret_disabled',
  'deletion_under_way',
  'recovery_under_way',
  'keys_unavailable',
] as const;
