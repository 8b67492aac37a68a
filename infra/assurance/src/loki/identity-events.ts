import { randomUUID } from 'node:crypto';
import { type Random } from '../random.ts';

export type PushedEvent = Record<string, unknown> & { id: string; event_type: string };

/** What people do at the provider, as its listener tells it: each logs in, fails once, takes a second factor and logs out. */
export function identityEvents(people: number, { random, now }: { random: Random; now: number }): PushedEvent[] {
  const events = Array.from({ length: people }, (_, person) => {
    const seconds = random.between(60, 460);
    const session = randomUUID();
    const event = (event_type: string, agoSeconds: number, more: object = {}): PushedEvent => ({
      id: randomUUID(),
      timestamp: new Date(now - agoSeconds * 1_000).toISOString(),
      event_type,
      realm: 'postern',
      user_id: `u-${person}`,
      username: `user-${person}`,
      ip_address: `203.0.113.${person % 250}`,
      client_id: 'portal',
      success: !event_type.endsWith('_ERROR'),
      ...more,
    });
    return [
      event('LOGIN', seconds, { session_id: session }),
      event('LOGIN_ERROR', 5, { error: 'invalid_user_credentials' }),
      event('UPDATE_TOTP', 4),
      event('LOGOUT', 0, { session_id: session }),
    ];
  });
  return events.flat();
}
