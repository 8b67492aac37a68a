import type { HeldBy, Principal } from '@postern/oidc';
import type { ActingParty } from './acting-party.ts';

/** Whose token is exchanged, who holds it, and who acts for them. */
export type Subject = { principal: Principal; heldBy: HeldBy; acting?: ActingParty };
