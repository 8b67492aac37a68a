/**
 * Moves of secrets from one provider to another (R38): what is planned, how far each secret is, and where it lay before, so
 * that a move can go on after a crash and be taken back.
 */
export const keyProxy0005 = `
  create table secret_moves (
    id uuid primary key,
    tenant text not null,
    started_by_issuer text not null,
    started_by_sub text not null,
    from_kind text not null,
    from_configuration uuid references provider_configurations,
    to_kind text not null,
    to_configuration uuid references provider_configurations,
    -- A token for crypto-store of whoever started or resumed it last (R5), sealed; it lives for minutes.
    sealed_token bytea,
    created_at timestamptz not null
  );
  create index secret_moves_tenant on secret_moves (tenant, created_at);

  create table secret_move_items (
    move_id uuid not null references secret_moves on delete cascade,
    secret_id uuid not null references secrets on delete cascade,
    state text not null default 'planned'
      check (state in ('planned', 'copying', 'switched', 'failed', 'rolled_back', 'finished')),
    reason text,
    -- Of the last write of this item, for repeating it.
    attempt uuid,
    new_reference text,
    -- Where it lay, and its versions there.
    old_reference text,
    old_provider_version text,
    old_versions jsonb,
    primary key (move_id, secret_id)
  );
`;
