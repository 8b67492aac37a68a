import { createHmac, type KeyObject } from 'node:crypto';
import type { Secret } from '@postern/runtime';

/**
 * HMAC-SHA-256 of a stored token under this service's own key: tells two tokens apart in the journal without saying
 * anything about them, also to whoever reads the database.
 */
export const fingerprintOf = (key: KeyObject, token: Secret): Uint8Array =>
  new Uint8Array(createHmac('sha256', key).update(token.reveal()).digest());
