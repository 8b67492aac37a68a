/** Who has the last word of a destruction: it holds the approvals, waits for the others, and ends its own keys last. */
export const COORDINATOR = 'crypto-store';

/** The services that a tenant's destruction reaches beside it, each with a database of its own (R33). */
export const PARTICIPANTS = ['auth-manager', 'key-proxy', 'token-exchange', 'audit-sink'] as const;

/** Names of the two signals (`@postern/bus`). */
export const DESTROYING = 'tenant.destroying';
export const DESTROYED = 'tenant.destroyed';

/** What was removed, by table or by what else was done: counts. */
export type Removed = Record<string, number>;

/** What a service says when nothing of a tenant is left with it: the body of `tenant.destroyed`, version 1. */
export type Acknowledgement = {
  destruction: string;
  tenant: string;
  /** RFC 3339. */
  deniedAt: string;
  destroyedAt: string;
  removed: Removed;
  /** Branch keys that were destroyed with it. */
  keys: number;
  /** Whether a list outside the database says so too: without one, a restored database brings back what was removed. */
  listed: boolean;
};
