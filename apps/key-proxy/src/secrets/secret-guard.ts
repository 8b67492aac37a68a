import { type Guards } from '@postern/outbox';
import { type HeldSecret } from './held-secret.ts';

/**
 * R32: a value leaves only while its reference is still the one that it was read under: live, not expired, of the same
 * generation; and where a version was asked for, that one still enabled;
 * and to somebody else than its owner only while the grant stands that it was reached by.
 */
const granted = `(e.k3 is null or exists (
       select 1 from secret_grants g, unnest(g.verbs) verb
        where g.secret_id = s.id and verb || ' ' || g.grantee_issuer || ' ' || g.grantee_sub = e.k3))`;

export const guards = {
  'live-secret': `exists (
    select 1 from secrets s
     where s.id = e.k1::uuid and s.generation = e.n and s.state = 'live' and (s.expires_at is null or s.expires_at > now())
       and ${granted}
  )`,
  'live-version': `exists (
    select 1 from secrets s join secret_versions v on v.secret_id = s.id
     where s.id = e.k1::uuid and s.generation = e.n and s.state = 'live' and (s.expires_at is null or s.expires_at > now())
       and v.version = e.k2::int and v.state = 'enabled' and ${granted}
  )`,
} as const satisfies Guards;

export function guardOf({ id, generation, grant }: HeldSecret, version: number | null) {
  const of = { k1: id, n: Number(generation), ...(grant === null ? {} : { k3: grant }) };
  return version === null ? { name: 'live-secret', ...of } : { name: 'live-version', ...of, k2: String(version) };
}
