import { z } from 'zod';

/** Shapes that both ways share: Keycloak's own columns bound them. */
export const eventId = z.guid();
export const eventType = z.string().regex(/^[A-Z][A-Z0-9_]{0,63}$/);
export const clientId = z.string().min(1).max(255);
export const userId = z.string().min(1).max(255);
export const username = z.string().min(1).max(255);
export const sessionId = z.string().min(1).max(255);
export const address = z.string().min(1).max(64);
export const errorCode = z.string().min(1).max(255);
export const resourcePath = z.string().max(2_550);
/** A name that Keycloak chose: a method, a type. */
export const name = z.string().min(1).max(64);
export const scope = z.string().max(4_096);
