import { createHash } from 'node:crypto';
import { auditEvent, type AuditEvent } from '@postern/audit';
import type { KeycloakRealm } from '../sources-config.ts';
import { isFailure, type AdminEvent, type IdentityEvent, type UserEvent } from './event.ts';

const REASON = /^[a-z][a-z0-9_.-]{0,63}$/;
const NAME_CHARACTERS = 256;
const ID_CHARACTERS = 512;

/**
 * The audit event of an event at the provider: at its own time, under an id that follows from realm and id there, so that
 * whoever records it twice records the same event.
 *
 * A name is kept only of a user whom the provider knows: what else was typed into that field may be a password.
 *
 * @param session what is known of the session that this event ends.
 * @throws ZodError where the two schemas disagree: a mistake in the program.
 */
export function auditEventOf(realm: KeycloakRealm, event: IdentityEvent, session?: { seconds: number }): AuditEvent {
  const parts = event.kind === 'user' ? ofUser(realm, event, session) : ofAdmin(realm, event);
  const failed = event.error !== undefined || (event.kind === 'user' && isFailure(event.type));
  const { address, ...rest } = parts;
  return auditEvent.parse({
    v: 1,
    id: stableId(realm, event),
    time: event.at.toISOString(),
    tenant: realm.tenant,
    outcome: failed ? 'failed' : 'success',
    ...(failed ? { reason: reasonOf(event.error) } : {}),
    ...(address === undefined ? {} : { source: { address } }),
    ...rest,
  });
}

function ofUser(realm: KeycloakRealm, event: UserEvent, session?: { seconds: number }) {
  const { userId, username, clientId, sessionId, address, details } = event;
  return {
    action: 'identity.user_event',
    actor: known({
      person: userId === undefined ? undefined : { issuer: realm.issuer, sub: userId },
      client: clientId,
    }),
    address,
    details: known({
      realm: realm.name,
      type: event.type,
      eventId: event.id,
      username: userId === undefined ? undefined : username,
      session: sessionId,
      sessionSeconds: session?.seconds,
      ...details,
      scopes: details.scopes?.filter((scope) => scope.length <= 128),
    }),
  };
}

function ofAdmin(realm: KeycloakRealm, event: AdminEvent) {
  const { by, resourcePath } = event;
  // An administrator of the master realm acts in every other one.
  const issuer = `${realm.issuer.slice(0, -realm.name.length)}${by.realm ?? realm.name}`;
  return {
    action: 'identity.admin_event',
    actor: known({
      person: by.userId === undefined ? undefined : { issuer: cut(issuer, NAME_CHARACTERS), sub: by.userId },
      client: by.clientId,
    }),
    ...(resourcePath === undefined
      ? {}
      : { resource: { type: event.resourceType.toLowerCase(), id: cut(resourcePath, ID_CHARACTERS) } }),
    address: by.address,
    details: { realm: realm.name, operation: event.operation, resourceType: event.resourceType, eventId: event.id },
  };
}

/** At most so many characters; of one that is cut in two a replacement is left. */
const cut = (text: string, characters: number): string => text.slice(0, characters).toWellFormed();

const reasonOf = (error: string | undefined): string =>
  error !== undefined && REASON.test(error) ? error : 'unspecified';

const known = <T extends object>(fields: T) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

/** A UUID version 7: the event's own milliseconds, then 74 bits of SHA-256 over where it comes from. */
function stableId(realm: KeycloakRealm, { kind, id, at }: IdentityEvent): string {
  const bits = createHash('sha256')
    .update(JSON.stringify([realm.issuer, kind, id]))
    .digest('hex');
  const time = at.getTime().toString(16).padStart(12, '0');
  const variant = ((Number.parseInt(bits[3]!, 16) & 0x3) | 0x8).toString(16);
  return [time.slice(0, 8), time.slice(8), `7${bits.slice(0, 3)}`, variant + bits.slice(4, 7), bits.slice(7, 19)].join(
    '-',
  );
}
