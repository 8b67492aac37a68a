import type { Action, AuditEvent } from '@postern/audit';

/** What a webhook may be told of, each with the events that it stands for. A line here is all that a new one needs. */
const table = {
  'grant.broken': {
    actions: ['grant.refreshed', 'grant.used'],
    when: ({ reason }) => reason === 'reauthorization_required',
  },
  'grant.reauthorization_required': { actions: ['grant.reauthorization_required'], when: succeeded },
  'grant.recovered': { actions: ['grant.recovered'], when: succeeded },
  'grant.revoked': { actions: ['grant.revoked'], when: succeeded },
  'approval.pending': { actions: ['approval.requested'], when: succeeded },
  'emergency.opened': { actions: ['emergency.opened'], when: succeeded },
  'rotation.due': { actions: ['rotation.due'], when: succeeded },
  'login.failed': { actions: ['login.failed', 'identity.user_event'], when: isFailedLogin },
  alert: { actions: ['alarm.raised', 'webhook.stopped'], when: () => true },
} as const satisfies Record<string, { actions: readonly Action[]; when: (event: AuditEvent) => boolean }>;

export type NotificationType = keyof typeof table;

export const notificationTypes = Object.keys(table) as [NotificationType, ...NotificationType[]];

/** Actions among which the events of these types are found. */
export const actionsOf = (types: readonly NotificationType[]): Action[] => [
  ...new Set(types.flatMap((type) => table[type].actions)),
];

/** The first of these types that an event stands for, if any. */
export const typeOf = (event: AuditEvent, types: readonly NotificationType[]): NotificationType | undefined =>
  types.find((type) => (table[type].actions as readonly Action[]).includes(event.action) && table[type].when(event));

function succeeded({ outcome }: AuditEvent): boolean {
  return outcome === 'success';
}

function isFailedLogin({ action, details }: AuditEvent): boolean {
  return action === 'login.failed' || details['type'] === 'LOGIN_ERROR';
}
