/**
 * How many grants a tenant has, for those tenants that have a quota: a row is made by the first grant under one, and kept by
 * triggers, so that a change and its count commit together whoever makes it. A consent remembers the quota it was asked under:
 * the browser that ends it shows no token.
 */
export const grantCounts0003 = `
create table grant_counts (
  tenant text primary key check (length(tenant) between 1 and 64),
  grants bigint not null check (grants >= 0)
);

create function count_grants() returns trigger language plpgsql as $$
begin
  -- In one order, so that two statements about the same tenants do not wait for each other.
  perform 1 from grant_counts where tenant in (select tenant from changed) order by tenant for update;
  if not found then return null; end if;
  update grant_counts c set grants = c.grants + case tg_op when 'INSERT' then x.n else -x.n end
    from (select tenant, count(*) as n from changed group by tenant) x where c.tenant = x.tenant;
  return null;
end $$;

create trigger grants_made after insert on grants
  referencing new table as changed for each statement execute function count_grants();
create trigger grants_removed after delete on grants
  referencing old table as changed for each statement execute function count_grants();

alter table consents add column most_grants int check (most_grants > 0);
`;
