import { z } from 'zod';
import { isFailure, type AdminEvent, type UserEvent } from './event.ts';
import {
  address,
  clientId,
  errorCode,
  eventId,
  eventType,
  name,
  realmName,
  resourcePath,
  scope,
  sessionId,
  tokenId,
  userId,
  username,
} from './fields.ts';

/** Most events in one request. */
export const PUSH_MAX_EVENTS = 200;

const timestamp = z.iso.datetime();
const realm = realmName.max(128).describe('one that is configured here');

/** A user's event in the seed's format (8.1), with Keycloak's own id of it. Details beyond these are not taken. */
const userEvent = z
  .strictObject({
    id: eventId,
    timestamp,
    event_type: eventType,
    realm,
    user_id: userId.optional(),
    username: username.optional(),
    ip_address: address.optional(),
    client_id: clientId.optional(),
    session_id: sessionId.optional(),
    success: z.boolean().describe('as `event_type` says it too'),
    error: errorCode.optional(),
    details: z
      .strictObject({
        auth_method: name.optional(),
        mfa_method: name.optional(),
        grant_type: name.optional(),
        credential_type: name.optional(),
        identity_provider: name.optional(),
        token_id: tokenId.optional(),
        scope: scope.optional(),
      })
      .default({}),
  })
  .refine(({ event_type, success }) => success !== isFailure(event_type), {
    path: ['success'],
    error: 'says the contrary of event_type',
  });

/** An administrator's event: what was done to which resource, never what was written. */
const adminEvent = z.strictObject({
  id: eventId,
  timestamp,
  realm,
  operation_type: eventType,
  resource_type: eventType,
  resource_path: resourcePath.optional(),
  by: z
    .strictObject({
      realm: realm.optional(),
      user_id: userId.optional(),
      client_id: clientId.optional(),
      ip_address: address.optional(),
    })
    .default({}),
  error: errorCode.optional(),
});

/** The body of the push route: events of any of the realms, in any order. */
export const pushedEvents = z
  .strictObject({
    events: z.array(userEvent).max(PUSH_MAX_EVENTS).default([]),
    admin_events: z.array(adminEvent).max(PUSH_MAX_EVENTS).default([]),
  })
  .refine(({ events, admin_events }) => events.length + admin_events.length > 0, {
    path: ['events'],
    error: 'is empty',
  })
  .refine(({ events, admin_events }) => events.length + admin_events.length <= PUSH_MAX_EVENTS, {
    path: ['events'],
    error: `holds more than ${PUSH_MAX_EVENTS} with admin_events`,
  });

type Pushed = z.output<typeof pushedEvents>;

export function pushedUserEvent(event: Pushed['events'][number]): UserEvent {
  const { details } = event;
  return {
    kind: 'user',
    id: event.id.toLowerCase(),
    at: new Date(event.timestamp),
    type: event.event_type,
    userId: event.user_id,
    username: event.username,
    clientId: event.client_id,
    sessionId: event.session_id,
    address: event.ip_address,
    error: event.error,
    details: {
      authMethod: details.auth_method,
      mfaMethod: details.mfa_method,
      grantType: details.grant_type,
      credentialType: details.credential_type,
      identityProvider: details.identity_provider,
      tokenId: details.token_id,
      scopes: details.scope?.split(' ').filter(Boolean).slice(0, 64),
    },
  };
}

export function pushedAdminEvent(event: Pushed['admin_events'][number]): AdminEvent {
  const { by } = event;
  return {
    kind: 'admin',
    id: event.id.toLowerCase(),
    at: new Date(event.timestamp),
    operation: event.operation_type,
    resourceType: event.resource_type,
    resourcePath: event.resource_path,
    by: { realm: by.realm, userId: by.user_id, clientId: by.client_id, address: by.ip_address },
    error: event.error,
  };
}
