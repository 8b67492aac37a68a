import { type Guards } from '@postern/outbox';

/** R32: a read is recorded, and so released, only while this holds on the primary. */
export const guards: Guards = {
  record: `exists (
    select 1 from records r where r.id = e.k1::uuid and r.version = e.n and r.deleted_at is null
  )`,
};

/** Proves that this version of the record is the newest, at the instant the read is recorded. */
export const recordGuard = ({ id, version }: { id: string; version: number }) => ({
  name: 'record',
  k1: id,
  n: version,
});
