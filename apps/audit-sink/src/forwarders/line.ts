import type { AuditEvent } from '@postern/audit';
import type { LogEvent } from './log-event.ts';

/** An event as it leaves: the seed's log format (8.1) for every event, with where it stands in the log. */
export type Line = {
  id: string;
  timestamp: string;
  event_type: string;
  realm: string;
  success: boolean;
  [field: string]: unknown;
  leaf_index: number;
  checkpoint: { size: number; root: string };
};

/**
 * Details that say nothing about a person, by name. What is not named here is personal (R28): a new detail leaves only
 * where somebody has judged it.
 */
const NON_PERSONAL = new Set(
  [
    'source bytes count scopes requested refused audience provider offline refreshed rotated cause active method kind',
    'remaining index treeSize proof about purpose keyId epoch route status action fields operation resourceType realm type',
    'eventId authMethod mfaMethod grantType credentialType identityProvider sessionSeconds added known types signature',
    'rule policyVersion subjectKind expiresAt previousUntil delivery',
  ].flatMap((names) => names.split(' ')),
);

/** Resources whose ids Postern made at random. Others may be named after somebody, or be somebody. */
const OPAQUE_RESOURCES = new Set(['record', 'grant', 'consent', 'secret', 'event', 'webhook', 'approval']);

/** Accounts that people made themselves: each is a tenant, so their names are no label and no dashboard's. */
const ACCOUNTS = 'kp_';

/** @param personal whether the target has declared that it can erase (R28). */
export function lineOf({ index, event, checkpoint }: LogEvent, { personal }: { personal: boolean }): Line {
  const { actor, resource, details } = event;
  return present({
    id: event.id,
    timestamp: event.time,
    event_type: eventTypeOf(event),
    realm: realmOf(event),
    success: event.outcome === 'success',
    action: event.action,
    outcome: event.outcome,
    tenant: event.tenant ?? undefined,
    error: event.reason,
    workload: actor.workload,
    client_id: actor.client,
    acts: actor.acts,
    resource_type: resource?.type,
    resource_id: resource && (personal || OPAQUE_RESOURCES.has(resource.type)) ? resource.id : undefined,
    resource_version: resource?.version,
    request_id: event.request,
    trace_id: event.trace,
    ...(personal ? personOf(event) : {}),
    session_seconds: details['sessionSeconds'],
    details: detailsOf(details, personal),
    leaf_index: index,
    checkpoint,
  }) as Line;
}

/** The provider's own type of its events, the action of ours. */
export const eventTypeOf = ({ action, details }: AuditEvent): string => {
  if (action === 'identity.user_event') return String(details['type']);
  if (action === 'identity.admin_event') return `ADMIN_${String(details['operation'])}`;
  return action;
};

/** The realm of an identity provider's events, the tenant of ours. */
export const realmOf = ({ details, tenant }: AuditEvent): string => {
  if (typeof details['realm'] === 'string') return details['realm'];
  return tenant?.startsWith(ACCOUNTS) ? ACCOUNTS : (tenant ?? '');
};

const personOf = ({ actor, source, details }: AuditEvent) => ({
  user_id: actor.person?.sub,
  user_issuer: actor.person?.issuer,
  username: details['username'],
  ip_address: source?.address,
  session_id: details['session'],
});

const TOLD_ELSEWHERE = new Set(['realm', 'type', 'username', 'session', 'sessionSeconds']);

function detailsOf(details: AuditEvent['details'], personal: boolean): Record<string, unknown> {
  const told = Object.entries(details).filter(
    ([name, value]) => value !== undefined && !TOLD_ELSEWHERE.has(name) && (personal || NON_PERSONAL.has(name)),
  );
  return Object.fromEntries(told.map(([name, value]) => [snake(name), value]));
}

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const present = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
