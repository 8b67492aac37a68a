import { type Guards } from '@postern/outbox';
import { type HeldSecret } from './held-secret.ts';

/**
 * R32: a value leaves only while its reference is still the one that it was read under: live, not expired, of the same
 * generation; and where a version was asked for, that one still enabled.
 */
export const guards = {
  'live-secret': `exists (
    select 1 from secrets s
     where s.id = e.k1::uuid and s.generation = e.n and s.state = 'live' and (s.expires_at is null or s.expires_at > now())
  )`,
  'live-version': `exists (
    select 1 from secrets s join secret_versions v on v.secret_id = s.id
     where s.id = e.k1::uuid and s.generation = e.n and s.state = 'live' and (s.expires_at is null or s.expires_at > now())
       and v.version = e.k2::int and v.state = 'enabled'
  )`,
} as const satisfies Guards;

export const guardOf = ({ id, generation }: HeldSecret, version: number | null) =>
  version === null
    ? { name: 'live-secret', k1: id, n: Number(generation) }
    : { name: 'live-version', k1: id, k2: String(version), n: Number(generation) };
