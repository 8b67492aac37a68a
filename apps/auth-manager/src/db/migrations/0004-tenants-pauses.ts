/**
 * A pause of keeping alive is a tenant's own. One that was made before holds for each tenant that has grants there. The default is
 * for a replica of the version before this one, while it still runs: what it pauses then holds for nobody.
 */
export const tenantsPauses0004 = `
alter table keeping_pauses add column tenant text not null default '', drop constraint keeping_pauses_pkey;
insert into keeping_pauses (tenant, provider, paused_at, paused_by)
  select distinct g.tenant, p.provider, p.paused_at, p.paused_by from keeping_pauses p join grants g on g.provider = p.provider;
delete from keeping_pauses where tenant = '';
alter table keeping_pauses add primary key (tenant, provider);
`;
