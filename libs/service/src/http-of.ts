import { type AppSpec, type Check } from '@postern/http';
import { type ServiceState } from './open-state.ts';
import { type openTrust } from './open-trust.ts';
import { type Setting } from './setting.ts';

/** What every service answers by, and what its readiness looks at: `more` after what they have in common. */
export const httpOf = (
  { config: { base, trust }, profile, metrics, logger, now }: Setting,
  { postgres, audit, keys }: ServiceState,
  { verifier, revocations }: Pick<ReturnType<typeof openTrust>, 'verifier' | 'revocations'>,
  more: readonly Check[] = [],
): Omit<AppSpec, 'service' | 'routes' | 'problems'> => ({
  verifier,
  audit,
  workloads: trust,
  profile,
  ready: [
    { name: 'postgres', check: postgres.check, without: '503; nothing is released, nothing half written' },
    { name: 'audit', check: audit.check, without: '503; nothing is released' },
    {
      name: 'keys',
      check: keys.check,
      // All replicas lose the root key at once: taking them out would end also what they can still serve.
      optional: true,
      without: 'branch keys in memory serve until their time, then 503 keys_unavailable',
    },
    { name: 'revocations', check: revocations.loaded },
    { name: 'revocations-fresh', check: revocations.fresh, optional: true },
    ...more,
  ],
  logger,
  registry: metrics,
  publicUrl: base.publicUrl,
  environment: base.environment,
  now,
});
