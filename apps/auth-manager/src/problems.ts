/** What this service refuses with, besides what every service may answer: code -> status and title (RFC 9457). */
export const problems = {
  consent_not_found: { status: 404, title: 'No such consent, or it is no longer open' },
  handle_workload_unknown: { status: 400, title: 'The handle names a workload that is not known here' },
  handle_exceeds_consent: { status: 400, title: 'The handle names scopes that the consent does not' },
  return_not_listed: { status: 400, title: 'The page to return to is not configured for this client' },
  other_provider: { status: 403, title: 'The person is not known to the provider of this service' },
  person_required: { status: 403, title: 'Only a person may do this, not a workload for itself' },
  grant_not_found: { status: 404, title: 'No such grant' },
  grant_ended: { status: 409, title: 'The grant has ended' },
  grant_busy: { status: 503, title: 'The grant is being refreshed' },
  reauthorization_required: {
    status: 409,
    title: 'The provider no longer knows the grant: the person must consent again',
  },
  nothing_granted: { status: 403, title: 'None of the scopes are within the handle and the consent' },
  session_not_found: { status: 404, title: 'No such session' },
  logout_refused: { status: 400, title: 'The logout token was not accepted' },
  provider_refused: { status: 502, title: 'The identity provider refused the request' },
  provider_unavailable: { status: 503, title: 'The identity provider gave no answer' },
} as const;
