import { newEvent, type AuditEvent } from '@postern/audit';
import type { Principal } from '@postern/oidc';
import type { Problem } from '@postern/runtime';
import type { App } from './app.ts';
import type { RequestFacts } from './declaration.ts';
import { draftOf, type EventFrame } from './route-audit.ts';

/** Tenant, actor and origin of a request, as every event of it says them. */
export function frameOf(facts: RequestFacts, principal: Principal | null): EventFrame {
  return {
    tenant: principal?.tenant ?? null,
    actor: {
      ...(principal?.person ? { person: principal.person } : {}),
      ...(principal ? { client: principal.clientId } : {}),
      ...(facts.workload === null ? {} : { workload: facts.workload }),
      ...(principal && principal.actors.length > 0 ? { acts: [...principal.actors] } : {}),
    },
    source: { address: facts.address },
    request: facts.id,
    ...(facts.trace === null ? {} : { trace: facts.trace }),
  };
}

type RefusalOf = {
  readonly app: App;
  readonly route: string;
  readonly action: AuditEvent['action'];
  readonly facts: RequestFacts;
  readonly principal: Principal | null;
  readonly status: number;
  readonly reason: string;
  readonly problem: Problem;
};

/** The event of a refusal: what was asked for, the status and the code, and which fields; never a value. */
export function refusalEvent({
  app,
  route,
  action,
  facts,
  principal,
  status,
  reason,
  problem: shown,
}: RefusalOf): AuditEvent {
  const fields = shown.fields.filter(({ rule }) => rule !== 'unknown_field').map(({ field }) => field);
  const details = { route, status, action, ...(fields.length > 0 ? { fields: fields.slice(0, 20) } : {}) };
  const outcome = status >= 500 ? 'failed' : 'refused';
  return newEvent(
    draftOf({ ...frameOf(facts, principal), action: 'request.refused', outcome, reason, details }),
    app.now(),
  );
}
