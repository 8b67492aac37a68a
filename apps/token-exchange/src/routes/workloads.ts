import { noContent, route } from '@postern/http';
import type { RevocationSequence } from '@postern/issuer';
import type { Profile } from '@postern/profile';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import type { PolicyStore } from '../policy/policy-store.ts';
import { compromiseWorkload, trustWorkload } from '../workloads/compromise-workload.ts';
import type { LogState } from '../workloads/close-logs.ts';

export type WorkloadRoutes = {
  db: Kysely<Schema>;
  policies: PolicyStore;
  sequence: RevocationSequence;
  closeLog: (name: string) => Promise<LogState>;
  profile: Pick<Profile, 'accessTokenMinutes'>;
  now: () => Date;
};

/** What an operator does when a workload's key is in the wrong hands. */
export const workloadRoutes = (deps: WorkloadRoutes) => [compromise(deps), trustAgain(deps)];

const common = { listener: 'api', scope: 'tokens:revoke', role: 'operator' } as const;
const params = z.strictObject({ id: z.string().min(1).max(64).describe('name of the workload') });

const compromise = (deps: WorkloadRoutes) =>
  route({
    ...common,
    method: 'POST',
    path: '/v1/workloads/:id/compromise',
    summary: 'A workload is not trusted any more: revoke its tokens, refuse it, close its log',
    audit: 'workload.compromised',
    params,
    body: z.strictObject({ reason: z.string().min(1).max(512).optional().describe('recorded with it') }),
    answers: {
      200: z.strictObject({
        workload: z.string().describe('its name'),
        client: z.string().describe('its OAuth client'),
        refusedSince: z.iso.datetime(),
        tokensRevokedBefore: z.iso.datetime(),
        tokens: z
          .int()
          .nonnegative()
          .describe('how many were minted here for it, or with it as an actor, and had not expired'),
        log: z
          .enum(['closed', 'none', 'waiting'])
          .describe('its epoch at audit-sink; `none`: it writes no log, `waiting`: it is tried until it is done'),
        remaining: z
          .array(z.enum(['certificate', 'realm_client']))
          .describe('what is left to people: this service cannot reach it'),
      }),
    },
    problems: ['workload_not_found'],
    async handle({ principal, params: { id: name }, body: { reason = null } }, audit) {
      const since = deps.now().toISOString();
      const by = { tenant: principal.tenant, name: principal.person?.sub ?? principal.clientId };
      const { client, revokedBefore, tokens } = await deps.db.transaction().execute((tx) =>
        deps.policies.change(tx, async (policy, within) => {
          const longestLifeSeconds = deps.profile.accessTokenMinutes * 60;
          const done = await compromiseWorkload(within, { ...deps, longestLifeSeconds }, policy, { name, reason, by });
          const before = done.revokedBefore.toISOString();
          const details = { workload: name, before, tokens: done.tokens };
          await audit.itemWithin(tx, { resource: { type: 'workload', id: name }, details });
          return done;
        }),
      );
      const log = await deps.closeLog(name);
      const body = {
        workload: name,
        client,
        refusedSince: since,
        tokensRevokedBefore: revokedBefore.toISOString(),
        tokens,
        log,
        remaining: ['certificate' as const, 'realm_client' as const],
      };
      const details = { workload: name, cause: `log_${log}` };
      return audit.released({ resource: { type: 'workload', id: name }, details }, { status: 200, body });
    },
  });

const trustAgain = (deps: WorkloadRoutes) =>
  route({
    ...common,
    method: 'DELETE',
    path: '/v1/workloads/:id/compromise',
    summary: 'Trust the workload again, once it has another key; revoked tokens stay so',
    audit: 'workload.trusted',
    params,
    answers: { 204: noContent },
    problems: ['workload_not_found'],
    handle: ({ params: { id: name } }, audit) =>
      deps.db.transaction().execute((tx) =>
        deps.policies.change(tx, async (_, within) => {
          await trustWorkload(within, name);
          return audit.within(
            tx,
            { resource: { type: 'workload', id: name }, details: { workload: name } },
            { status: 204 },
          );
        }),
      ),
  });
