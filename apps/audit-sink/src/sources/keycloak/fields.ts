import { z } from 'zod';

/** Half a surrogate pair has no canonical form (RFC 8785), and Postgres holds no NUL: one such event would hold up all behind it. */
const text = () =>
  z
    .string()
    .refine((value) => value.isWellFormed() && !value.includes('\0'), 'text with NUL or half a character in it');

/** Shapes that both ways share: Keycloak's own columns bound them. */
export const eventId = z.guid();
export const eventType = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]{0,63}$/)
  .describe("Keycloak's own name of it");
export const realmName = text().min(1).max(255).describe('the realm');
export const clientId = text().min(1).max(255).describe('the client');
export const userId = text().min(1).max(255).describe('the person');
export const username = text().min(1).max(255).describe('as it was typed');
export const sessionId = text().min(1).max(255).describe('the session');
export const address = text().min(1).max(64).describe('IP address');
export const errorCode = text().min(1).max(255).describe('why it failed');
export const resourcePath = text().max(2_550).describe('which resource');
/** A name that Keycloak chose: a method, a type. */
export const name = text().min(1).max(64).describe('as Keycloak names it');
export const tokenId = text().max(128).describe('`jti` of the token');
export const scope = text().max(4_096).describe('names with spaces between');
