import { createPostern, type Postern } from '@postern/client';

import { type Certificates } from '../certificates.ts';
import { type State } from '../state.ts';

/** Who plays the tour: each with its own certificate. */
export type Cast = { portal: Postern; job: Postern; operator: Postern; close(): Promise<void> };

/** Opens a client of Postern for each, over its own workload certificate. */
export function openCast({ urls }: State, certificates: Certificates): Cast {
  const clientOf = (workload: 'portal' | 'job' | 'operator') => {
    const { cert, key, ca } = certificates.of[workload];
    return createPostern({
      tls: () => ({ cert, key, ca }),
      urls: {
        tokenExchange: urls['token-exchange'].api,
        cryptoStore: urls['crypto-store'].api,
        authManager: urls['auth-manager'].api,
        keyProxy: urls['key-proxy'].api,
        auditSink: urls['audit-sink'].api,
      },
    });
  };
  const [portal, job, operator] = [clientOf('portal'), clientOf('job'), clientOf('operator')];
  return {
    portal,
    job,
    operator,
    close: async () => void (await Promise.all([portal.close(), job.close(), operator.close()])),
  };
}
