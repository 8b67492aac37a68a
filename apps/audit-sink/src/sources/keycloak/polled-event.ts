import { z } from 'zod';
import type { AdminEvent, UserEvent } from './event.ts';
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

const time = z.int().min(0).max(8_640_000_000_000);
/** Keycloak leaves out what it does not know; some versions say null. What does not fit here is not worth an event. */
const maybe = <T extends z.ZodType>(schema: T) => schema.nullish().catch(undefined);

/** `EventRepresentation` of the Admin API (26.x). Fields that a later version adds are not looked at. */
const userRepresentation = z.object({
  id: eventId,
  time,
  type: eventType,
  userId: maybe(userId),
  clientId: maybe(clientId),
  sessionId: maybe(sessionId),
  ipAddress: maybe(address),
  error: maybe(errorCode),
  details: maybe(
    z.object({
      username: maybe(username),
      auth_method: maybe(name),
      mfa_method: maybe(name),
      grant_type: maybe(name),
      credential_type: maybe(name),
      identity_provider: maybe(name),
      token_id: maybe(tokenId),
      scope: maybe(scope),
    }),
  ),
});

/** `AdminEventRepresentation`, without its `representation`. */
const adminRepresentation = z.object({
  id: eventId,
  time,
  operationType: eventType,
  resourceType: eventType,
  resourcePath: maybe(resourcePath),
  error: maybe(errorCode),
  authDetails: maybe(
    z.object({
      realmId: maybe(realmName),
      realmName: maybe(realmName),
      clientId: maybe(clientId),
      userId: maybe(userId),
      ipAddress: maybe(address),
    }),
  ),
});

/** @returns undefined for what is no event of this kind. */
export function userEventOf(value: unknown): UserEvent | undefined {
  const { data, success } = userRepresentation.safeParse(value);
  if (!success) return undefined;
  const { details } = data;
  return {
    kind: 'user',
    id: data.id.toLowerCase(),
    at: new Date(data.time),
    type: data.type,
    userId: data.userId ?? undefined,
    username: details?.username ?? undefined,
    clientId: data.clientId ?? undefined,
    sessionId: data.sessionId ?? undefined,
    address: data.ipAddress ?? undefined,
    error: data.error ?? undefined,
    details: {
      authMethod: details?.auth_method ?? undefined,
      mfaMethod: details?.mfa_method ?? undefined,
      grantType: details?.grant_type ?? undefined,
      credentialType: details?.credential_type ?? undefined,
      identityProvider: details?.identity_provider ?? undefined,
      tokenId: details?.token_id ?? undefined,
      scopes: details?.scope?.split(' ').filter(Boolean).slice(0, 64),
    },
  };
}

/** @returns undefined for what is no event of this kind. */
export function adminEventOf(value: unknown): AdminEvent | undefined {
  const { data, success } = adminRepresentation.safeParse(value);
  if (!success) return undefined;
  const { authDetails } = data;
  return {
    kind: 'admin',
    id: data.id.toLowerCase(),
    at: new Date(data.time),
    operation: data.operationType,
    resourceType: data.resourceType,
    resourcePath: data.resourcePath ?? undefined,
    by: {
      realm: authDetails?.realmName ?? authDetails?.realmId ?? undefined,
      userId: authDetails?.userId ?? undefined,
      clientId: authDetails?.clientId ?? undefined,
      address: authDetails?.ipAddress ?? undefined,
    },
    error: data.error ?? undefined,
  };
}
