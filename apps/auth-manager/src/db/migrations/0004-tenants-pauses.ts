/**
 * A pause of keeping alive is a tenant's own. One that was made before holds for each tenant that has grants there. `keeping_pauses`
 * stays for replicas of the version before this one, while they still run: what they pause then holds for nobody. It goes in a later step.
 */
export const tenantsPauses0004 = `
create table tenant_pauses (
  tenant text not null,
  provider text not null,
  paused_at timestamptz not null,
  paused_by text not null,
  primary key (tenant, provider)
);
insert into tenant_pauses (tenant, provider, paused_at, paused_by)
  select distinct g.tenant, p.provider, p.paused_at, p.paused_by from keeping_pauses p join grants g on g.provider = p.provider;
`;
