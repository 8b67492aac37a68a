import { type ProblemTable } from '@postern/http';

/** This service's codes. Callers branch on them. */
export const problems = {
  sign_up_closed: { status: 403, title: 'Accounts are not created by sign-up here' },
  account_exists: { status: 409, title: 'There is an account with this address' },
  login_refused: { status: 401, title: 'The address or the password is wrong' },
  login_locked: { status: 429, title: 'Too many failures: logins with this address are locked for a time' },
  binding_required: { status: 401, title: 'A login binds its token to a client certificate or to a DPoP proof' },
  person_required: { status: 403, title: 'Secrets belong to people: the token speaks for none' },
  provider_unavailable: { status: 422, title: 'This provider cannot be used here' },
  provider_unreachable: { status: 503, title: 'The provider does not answer now' },
  provider_forbidden: { status: 403, title: 'The provider refuses this caller' },
  provider_failed: { status: 502, title: 'The provider gave no usable answer' },
  secret_exists: { status: 409, title: 'There is a secret of this name' },
  secret_busy: { status: 409, title: 'A secret of this name is being written' },
  secret_missing: { status: 502, title: 'The provider has nothing under the reference of a secret' },
} as const satisfies ProblemTable;
