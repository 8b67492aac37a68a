import type { Principal } from '@postern/oidc';
import { networkOf } from '@postern/runtime';
import type { RequestFacts } from './declaration.ts';

/**
 * By what requests are counted, and an `Idempotency-Key` is bound: the principal, else the workload, else where it comes from. Of
 * IPv6 that is a /64, the least that one subscriber has: with each address counted by itself nobody would reach a limit.
 */
export const callerOf = (
  { workload, address }: Pick<RequestFacts, 'workload' | 'address'>,
  principal: Principal | null,
): string =>
  principal
    ? JSON.stringify([
        principal.tenant,
        principal.person?.issuer ?? principal.issuer,
        principal.person?.sub ?? null,
        principal.clientId,
      ])
    : (workload ?? networkOf(address, { v4: 32, v6: 64 }));
