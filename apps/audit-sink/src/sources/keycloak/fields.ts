import { z } from 'zod';

/** Shapes that both ways share: Keycloak's own columns bound them. */
export const eventId = z.guid();
export const eventType = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]{0,63}$/)
  .describe("Keycloak's own name of it");
export const clientId = z.string().min(1).max(255).describe('the client');
export const userId = z.string().min(1).max(255).describe('the person');
export const username = z.string().min(1).max(255).describe('as it was typed');
export const sessionId = z.string().min(1).max(255).describe('the session');
export const address = z.string().min(1).max(64).describe('IP address');
export const errorCode = z.string().min(1).max(255).describe('why it failed');
export const resourcePath = z.string().max(2_550).describe('which resource');
/** A name that Keycloak chose: a method, a type. */
export const name = z.string().min(1).max(64).describe('as Keycloak names it');
export const scope = z.string().max(4_096).describe('names with spaces between');
