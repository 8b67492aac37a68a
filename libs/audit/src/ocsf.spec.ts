import { expect, test } from '@jest/globals';
import { actionNames, newEvent, toOcsf, type Action, type EventDraft } from './index.ts';

const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/).filter(Boolean));

/** Names of the fields that we use the objects of, from the published schema (github.com/ocsf/ocsf-schema, Apache-2.0). */
const BASE = words(`activity_id activity_name category_name category_uid class_name class_uid count duration end_time
  enrichments message metadata observables raw_data severity severity_id start_time status status_code status_detail status_id
  time timezone_offset type_name type_uid unmapped`);
const IAM = words('actor http_request src_endpoint');
const OF_CLASS: Readonly<Record<number, ReadonlySet<string>>> = {
  3001: new Set([...IAM, ...words('policy user user_result')]),
  3002: new Set([...IAM, ...words('auth_protocol certificate dst_endpoint is_mfa logon_type_id service session user')]),
  3004: new Set([...IAM, ...words('comment entity entity_result')]),
  6003: words('actor api dst_endpoint http_request http_response resources src_endpoint'),
};
const OBJECTS: Readonly<Record<string, ReadonlySet<string>>> = {
  actor: words('app_name app_uid authorizations idp invoked_by process session user'),
  api: words('group operation request response service version'),
  user: words('account domain email_addr full_name groups name org type type_id uid uid_alt'),
  session: words('count created_time credential_uid expiration_time is_mfa is_remote issuer uid uuid'),
  metadata: words(`correlation_uid event_code labels log_level log_name log_provider log_version logged_time loggers
    modified_time original_time processed_time product profiles sequence tenant_uid uid version`),
  product: words('cpe_name feature lang name path uid url_string vendor_name version'),
  feature: words('name uid version'),
  service: words('labels name uid version'),
  request: words('containers data flags uid'),
  src_endpoint: words('domain hostname interface_uid ip location mac name owner port svc_name type type_id uid zone'),
  entity: words('data name type uid version'),
  resources: words('agent_list criticality data group labels name namespace owner type uid version'),
};
/** Activities that the classes define. */
const ACTIVITIES: Readonly<Record<number, number>> = { 3001: 12, 3002: 7, 3004: 15, 6003: 4 };

const draft: EventDraft = {
  action: 'record.read',
  outcome: 'refused',
  reason: 'insufficient_scope',
  tenant: 'acme',
  actor: { person: { issuer: 'https://idp.example', sub: 'alice' }, client: 'job', workload: 'job', acts: ['job'] },
  resource: { type: 'record', id: 'r1', version: 2 },
  source: { address: '192.0.2.1' },
  request: 'q1',
  trace: 'f'.repeat(32),
  details: {},
};
const at = new Date('2026-03-01T10:00:00.123Z');
const mapped = (over: Partial<EventDraft> = {}) => toOcsf(newEvent({ ...draft, ...over }, at), 'crypto-store');

/** Every field whose name the schema does not know, by its path. */
function unknownFields(value: Record<string, unknown>, known: ReadonlySet<string>, path: string): string[] {
  return Object.entries(value).flatMap(([name, inner]) => {
    const here = `${path}.${name}`;
    if (!known.has(name)) return [here];
    const object = OBJECTS[name];
    if (!object || name === 'unmapped') return [];
    return (Array.isArray(inner) ? inner : [inner]).flatMap((one) => unknownFields(one as never, object, here));
  });
}

test.each(actionNames)('%s has a class, an activity and only fields of the published schema', (action: Action) => {
  const event = mapped({ action });
  const uid = event['class_uid'] as number;
  expect(Object.keys(OF_CLASS)).toContain(String(uid));
  expect(unknownFields(event, new Set([...BASE, ...OF_CLASS[uid]!]), action)).toEqual([]);
  const activity = event['activity_id'] as number;
  expect(activity === 99 || (activity >= 1 && activity <= ACTIVITIES[uid]!)).toBe(true);
  expect(event['type_uid']).toBe(uid * 100 + activity);
  expect(event['category_uid']).toBe(Math.floor(uid / 1_000));
});

test('actor, status, API, resource and ids stand where the schema has them', () => {
  expect(mapped()).toMatchObject({
    class_uid: 6003,
    activity_id: 2,
    time: at.getTime(),
    status_id: 2,
    status_code: 'insufficient_scope',
    severity_id: 2,
    actor: { user: { uid: 'alice', type_id: 1, domain: 'acme' }, app_uid: 'job', invoked_by: 'job' },
    api: { operation: 'record.read', service: { name: 'crypto-store' }, request: { uid: 'q1' } },
    resources: [{ uid: 'r1', type: 'record', version: '2' }],
    src_endpoint: { ip: '192.0.2.1', name: 'job' },
    metadata: { tenant_uid: 'acme', correlation_uid: 'f'.repeat(32), event_code: 'record.read' },
  });
});

test.each([
  ['login.failed', 3002, 1],
  ['session.ended', 3002, 2],
  ['token.exchanged', 3002, 3],
  ['account.created', 3001, 1],
  ['grant.revoked', 3004, 4],
  ['tenant.created', 3004, 1],
  ['record.written', 6003, 1],
  ['record.deleted', 6003, 4],
  ['record.read', 6003, 2],
] as const)('%s is class %i, activity %i', (action, uid, activity) => {
  expect(mapped({ action })).toMatchObject({ class_uid: uid, activity_id: activity });
});
