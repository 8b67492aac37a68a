import {
  type AccountsDeps,
  changeAccountRoute,
  deleteAccountRoute,
  importAccountsRoute,
  listAccountsRoute,
  resetFactorRoute,
} from './accounts.ts';
import { type ChangePasswordDeps, changePasswordRoute } from './change-password.ts';
import { confirmFactorRoute, enrolFactorRoute, type FactorDeps, removeFactorRoute } from './factor.ts';
import {
  acceptInvitationRoute,
  cancelInvitationRoute,
  type InvitationDeps,
  inviteRoute,
  listInvitationsRoute,
} from './invitations.ts';
import { logOut, refreshRoute, type SessionDeps } from './session.ts';

export type AccountRoutes = SessionDeps & ChangePasswordDeps & FactorDeps & InvitationDeps & AccountsDeps;

/** Accounts beyond the seed's `/signup` and `/login`: one's own, and those of a company for its administrator. */
export const accountRoutes = (deps: AccountRoutes) => [
  refreshRoute(deps),
  logOut(deps),
  changePasswordRoute(deps),
  enrolFactorRoute(deps),
  confirmFactorRoute(deps),
  removeFactorRoute(deps),
  inviteRoute(deps),
  listInvitationsRoute(deps),
  cancelInvitationRoute(deps),
  acceptInvitationRoute(deps),
  listAccountsRoute(deps),
  changeAccountRoute(deps),
  deleteAccountRoute(deps),
  resetFactorRoute(deps),
  importAccountsRoute(deps),
];
