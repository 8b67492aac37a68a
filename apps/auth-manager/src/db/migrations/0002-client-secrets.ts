/** The client secret for a provider that knows no better (the low profile only), sealed under the tenant's key. */
export const clientSecrets0002 = `
alter table providers add column sealed_secret bytea;
`;
