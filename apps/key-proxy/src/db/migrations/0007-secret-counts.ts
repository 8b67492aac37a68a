/**
 * How many secrets a tenant has, for those tenants that have a quota: a row is made by the first create under one, and kept by
 * triggers, so that a change and its count commit together whoever makes it. A statement's own rows are locked before the count.
 */
export const keyProxy0007 = `
  create table secret_counts (
    tenant text primary key check (length(tenant) between 1 and 64),
    secrets bigint not null check (secrets >= 0)
  );

  create function count_secrets() returns trigger language plpgsql as $$
  begin
    -- In one order, so that two statements about the same tenants do not wait for each other.
    perform 1 from secret_counts where tenant in (select tenant from changed) order by tenant for update;
    if not found then return null; end if;
    update secret_counts c set secrets = c.secrets + case tg_op when 'INSERT' then x.n else -x.n end
      from (select tenant, count(*) as n from changed group by tenant) x where c.tenant = x.tenant;
    return null;
  end $$;

  create trigger secrets_made after insert on secrets
    referencing new table as changed for each statement execute function count_secrets();
  create trigger secrets_removed after delete on secrets
    referencing old table as changed for each statement execute function count_secrets();
`;
