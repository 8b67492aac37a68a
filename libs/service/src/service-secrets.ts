/** Under which a service's own secrets are sealed: no tenant's, for they outlive every one of them. */
export const SERVICE_SECRETS = { tenant: 'postern', purpose: 'service-secrets' };
