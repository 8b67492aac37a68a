import { isMutation } from './actions.ts';
import type { AuditEvent } from './event.ts';

/** Version of the Open Cybersecurity Schema Framework that `toOcsf` follows. */
export const OCSF_VERSION = '1.3.0';

type OcsfClass = { uid: 3001 | 3002 | 3004 | 6003; activity: number };

const LOGON = { uid: 3002, activity: 1 } as const;
const ACCOUNT_CHANGE = 3001;
const ENTITY_MANAGEMENT = 3004;
const API_ACTIVITY = 6003;
const OTHER = 99;

/** Actions that have a class of their own. All others are API Activity, or Entity Management where they change a tenant's set-up. */
const CLASSES: Readonly<Record<string, OcsfClass>> = {
  'login.succeeded': LOGON,
  'login.failed': LOGON,
  'session.ended': { uid: 3002, activity: 2 },
  'logout.received': { uid: 3002, activity: 2 },
  'token.exchanged': { uid: 3002, activity: 3 },
  'account.created': { uid: ACCOUNT_CHANGE, activity: 1 },
  'password.changed': { uid: ACCOUNT_CHANGE, activity: 3 },
  'account.deleted': { uid: ACCOUNT_CHANGE, activity: 6 },
  'account.locked': { uid: ACCOUNT_CHANGE, activity: 9 },
  'account.changed': { uid: ACCOUNT_CHANGE, activity: OTHER },
};

const ENTITIES = /^(tenant|policy|provider|grant|handle|consent|approval|key|webhook|workload)\./;

/** The verb of an action, as the activity of API Activity and Entity Management (the first four are the same there). */
function activityOf(action: string): number {
  const verb = action.slice(action.indexOf('.') + 1);
  if (/^(created|stored|started|written|encrypted|enrolled|invited|raised|opened|copied)$/.test(verb)) return 1;
  if (/^(deleted|destroyed|revoked|removed|cancelled|erased|offboarded|expired)$/.test(verb)) return 4;
  if (action === 'request.refused') return OTHER;
  return isMutation(action) ? 3 : 2;
}

function classOf(action: string): OcsfClass {
  const own = Object.hasOwn(CLASSES, action) ? CLASSES[action] : undefined;
  if (own) return own;
  return { uid: ENTITIES.test(action) ? ENTITY_MANAGEMENT : API_ACTIVITY, activity: activityOf(action) };
}

// status_id and severity_id of the base event.
const STATUS = { success: 1, refused: 2, failed: 2, intent: OTHER } as const;
const SEVERITY = { success: 1, intent: 1, refused: 2, failed: 3 } as const;
const HIGH = 4;

/**
 * An event in the Open Cybersecurity Schema Framework: class, activity, status, actor and API as its classes
 * Authentication (3002), Account Change (3001), Entity Management (3004) and API Activity (6003) name them. Details that have no
 * field there stand under `unmapped`.
 *
 * @param producer the service whose event it is.
 */
export function toOcsf(event: AuditEvent, producer: string): Record<string, unknown> {
  const { uid: classUid, activity } = classOf(event.action);
  const { actor, resource, outcome } = event;
  const user = userOf(event);
  return {
    class_uid: classUid,
    category_uid: Math.floor(classUid / 1_000),
    activity_id: activity,
    type_uid: classUid * 100 + activity,
    time: Date.parse(event.time),
    status_id: STATUS[outcome],
    status: outcome,
    ...(event.reason === undefined ? {} : { status_code: event.reason }),
    severity_id: event.action === 'alarm.raised' ? HIGH : SEVERITY[outcome],
    message: event.action,
    metadata: {
      version: OCSF_VERSION,
      uid: event.id,
      event_code: event.action,
      log_name: 'audit',
      log_version: String(event.v),
      product: { name: 'Postern', vendor_name: 'Postern', feature: { name: producer, uid: producer } },
      ...(event.tenant === null ? {} : { tenant_uid: event.tenant }),
      ...(event.trace === undefined ? {} : { correlation_uid: event.trace }),
    },
    actor: {
      ...(user ? { user } : {}),
      ...(actor.client === undefined ? {} : { app_uid: actor.client }),
      ...(actor.acts?.length ? { invoked_by: actor.acts.join(' ') } : {}),
      ...(actor.person ? { session: { issuer: actor.person.issuer } } : {}),
    },
    src_endpoint: endpointOf(event),
    ...partsOf(classUid, event, producer, user),
    ...(resource && classUid === API_ACTIVITY
      ? { resources: [{ uid: resource.id, type: resource.type, ...versionOf(resource) }] }
      : {}),
    unmapped: { details: event.details, ...(event.intent === undefined ? {} : { intent: event.intent }) },
  };
}

/** What the class asks for beside the base. */
function partsOf(classUid: number, event: AuditEvent, producer: string, user: Record<string, unknown> | null) {
  const { resource } = event;
  if (classUid === API_ACTIVITY) {
    const request = event.request === undefined ? {} : { request: { uid: event.request } };
    return { api: { operation: event.action, service: { name: producer }, ...request } };
  }
  if (classUid === ENTITY_MANAGEMENT) {
    const name = event.action.slice(0, event.action.indexOf('.'));
    return {
      entity: { uid: resource?.id ?? name, type: resource?.type ?? name, ...(resource ? versionOf(resource) : {}) },
    };
  }
  return {
    user: user ?? { name: 'unknown', type_id: 0 },
    ...(classUid === 3002 ? { service: { name: producer } } : {}),
  };
}

// type_id of a user: 1 a person, 3 a system.
function userOf({ actor, tenant }: AuditEvent): Record<string, unknown> | null {
  const domain = tenant === null ? {} : { domain: tenant };
  if (actor.person) return { uid: actor.person.sub, type_id: 1, ...domain };
  if (actor.workload !== undefined) return { name: actor.workload, type_id: 3, ...domain };
  return null;
}

const endpointOf = ({ source, actor }: AuditEvent) => ({
  ...(source ? { ip: source.address } : {}),
  name: actor.workload ?? 'unknown',
});

const versionOf = ({ version }: { version?: number | undefined }) =>
  version === undefined ? {} : { version: String(version) };
