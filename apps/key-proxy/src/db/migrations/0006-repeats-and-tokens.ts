/**
 * Creates that are repeated under one Idempotency-Key, a token by which the worker settles a write at crypto-store, and the
 * end of a table that two releases have not used.
 */
export const keyProxy0006 = `
  alter table secrets
    -- SHA-256 over route, caller and key, base64url; and what was asked under it, as HMAC under the tenant's own key (R38).
    add column idempotency_key text,
    add column idempotency_request bytea,
    add check ((idempotency_key is null) = (idempotency_request is null));
  create index secrets_idempotency_key on secrets (tenant, idempotency_key) where idempotency_key is not null;

  alter table provider_writes
    -- A token for crypto-store of whoever writes (R5), sealed, gone with the outcome; it lives for minutes.
    add column sealed_token bytea,
    add check (sealed_token is null or outcome is null);

  drop table activity;
`;
