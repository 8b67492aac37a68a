import type { Counts, Guards, GuardUse } from '@postern/outbox';
import type { UsableGrant } from './find-handle.ts';

/**
 * R32: a use is recorded, and so released, only while this holds on the primary at that instant: the handle is there and
 * has no limit, the grant is good and has had no other consent since what is released was made from it, the provider's
 * word is no older than it was taken for, and the database was not restored since.
 */
export const guards = {
  'handle-live': `exists (
    select 1 from handles h join grants g on g.id = h.grant_id left join restores r on true
     where h.id = e.k1::uuid and h.max_uses is null and g.state = 'active' and g.family = e.n
       and g.confirmed_at >= e.k2::timestamptz and coalesce(g.confirmed_at >= r.at, true)
  )`,
} as const satisfies Guards;

/** R11: the use is counted in the statement that records it. */
export const counts: Counts = {
  'handle-live': 'insert into handle_uses (handle_id, uses) select e.k1::uuid, count(*) from counted e group by 1',
};

export const guardOf = ({ grant, handle }: UsableGrant): GuardUse => ({
  name: 'handle-live' satisfies keyof typeof guards,
  k1: handle.id,
  k2: grant.confirmed_at.toISOString(),
  n: Number(grant.family),
});
