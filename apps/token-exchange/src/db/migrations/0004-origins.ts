/**
 * Where else a token comes from: the token of the party that acted (RFC 8693 `actor_token`), and who signed it under which
 * `jti`, where that was not this service. Both null in rows of before: minted here, `jti` is `id`.
 */
export const exchanges0004 = `
  alter table exchanges
    add column actor_token text,
    add column actor_token_issuer text,
    add column token_issuer text,
    add column token_id text,
    add constraint exchanges_actor_token check ((actor_token is null) = (actor_token_issuer is null)),
    add constraint exchanges_token check ((token_issuer is null) = (token_id is null));
  create index exchanges_actor_token on exchanges (actor_token) where actor_token is not null;
`;
