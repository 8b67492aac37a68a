/** Accounts that are invited, disabled and imported; their sessions, second factors and former passwords. */
export const keyProxy0003 = `
  alter table accounts
    add column state text not null default 'active' check (state in ('active', 'disabled')),
    -- Of an imported bcrypt hash, until its first login makes another: how much work a login has to be (accounts/password.ts).
    add column bcrypt_cost int check (bcrypt_cost between 4 and 13),
    -- No phone number or name is known of an imported account.
    alter column contact_name drop not null,
    alter column phone_number drop not null;
  create index accounts_bcrypt_cost on accounts (bcrypt_cost) where bcrypt_cost is not null;

  -- What may not be taken again; the present one stands in its account.
  create table former_passwords (
    account uuid not null references accounts on delete cascade,
    password_hash text not null,
    replaced_at timestamptz not null
  );
  create index former_passwords_account on former_passwords (account, replaced_at);

  create table invitations (
    id uuid primary key,
    tenant text not null references companies,
    email text not null check (length(email) between 3 and 254),
    role text not null check (role in ('admin', 'user')),
    token_digest bytea not null unique check (octet_length(token_digest) = 32),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    -- Single use (R16): set by the one transaction that makes the account.
    used_at timestamptz
  );
  create unique index invitations_open on invitations (tenant, email) where used_at is null;

  create table sessions (
    id uuid primary key,
    account uuid not null references accounts on delete cascade,
    -- Who may refresh it: a workload over its certificate, the holder of a DPoP key, or in low anyone.
    holder text not null check (length(holder) between 1 and 300),
    -- Whether a second factor was shown.
    factor boolean not null,
    -- SHA-256 of the one refresh token that is good.
    refresh_digest bytea not null unique check (octet_length(refresh_digest) = 32),
    started_at timestamptz not null,
    idle_at timestamptz not null,
    ends_at timestamptz not null
  );
  create index sessions_account on sessions (account);
  create index sessions_idle_at on sessions (idle_at);

  -- Refresh tokens that were used: one that comes again ends its session.
  create table used_refresh_tokens (
    digest bytea primary key check (octet_length(digest) = 32),
    session uuid not null references sessions on delete cascade
  );
  create index used_refresh_tokens_session on used_refresh_tokens (session);

  -- Access tokens of a session that may still live: revoked one by one when it ends (R14).
  create table session_tokens (
    token_id text primary key,
    session uuid not null references sessions on delete cascade,
    expires_at timestamptz not null
  );
  create index session_tokens_session on session_tokens (session);

  create table factors (
    account uuid primary key references accounts on delete cascade,
    -- The TOTP key, sealed under the tenant's key; the context names the account.
    sealed bytea not null,
    -- Null until a first code has shown that the person has it.
    confirmed_at timestamptz,
    created_at timestamptz not null
  );

  -- SHA-256 of codes of 80 random bits; a row is deleted by the login that uses it.
  create table recovery_codes (
    account uuid not null references accounts on delete cascade,
    digest bytea not null check (octet_length(digest) = 32),
    primary key (account, digest)
  );
`;
