/**
 * An exchange is written once, and the service's role can neither change nor delete one. Of a tenant that is denied for ever
 * (R33) they go, by this function alone, which runs as the owner of the tables.
 */
export const exchanges0007 = `
  create function remove_ended_exchanges(ended text, most integer) returns integer
    language sql security definer set search_path = public, pg_temp
    as $$
      with gone as (
        delete from exchanges where ctid = any(array(
          select x.ctid from exchanges x
           where x.tenant = ended and exists (select from ended_tenants e where e.tenant = ended)
           limit most))
        returning 1
      )
      select count(*)::integer from gone;
    $$;
  revoke execute on function remove_ended_exchanges from public;
`;
