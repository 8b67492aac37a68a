/**
 * How many records a tenant has, for those tenants that have a quota: a row is made by the first write under one, and kept by triggers,
 * so that a change and its count commit together whoever makes it. Tenants without a row cost a look into an index for each statement
 * that makes or removes records.
 */
export const recordCounts0002 = `
  create table record_counts (
    tenant text primary key check (length(tenant) between 1 and 64),
    records bigint not null check (records >= 0)
  );

  create function count_records() returns trigger language plpgsql as $$
  begin
    -- In one order, so that two statements about the same tenants do not wait for each other.
    perform 1 from record_counts where tenant in (select tenant from changed) order by tenant for update;
    if not found then return null; end if;
    update record_counts c set records = c.records + case tg_op when 'INSERT' then x.n else -x.n end
      from (select tenant, count(*) as n from changed group by tenant) x where c.tenant = x.tenant;
    return null;
  end $$;

  create trigger records_made after insert on records
    referencing new table as changed for each statement execute function count_records();
  create trigger records_removed after delete on records
    referencing old table as changed for each statement execute function count_records();
`;
