-- Times are milliseconds since the Unix epoch; lists and objects are JSON text; flags are 0 or 1.

-- Named counters. outbox_seq is incremented by every change inside its transaction, so that the order of
-- sequence numbers is the order of commits, also on databases that run writers side by side.
create table counters (
    name text collate "C" not null primary key,
    value bigint not null
);
insert into counters (name, value) values ('outbox_seq', 0);

create table accounts (
    id text collate "C" not null primary key,
    parent_id text collate "C" references accounts (id),
    name text collate "C" not null,
    token_prefix text not null,
    version bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    deleted_at bigint
);
create index accounts_parent on accounts (parent_id);

-- The tree, closed: every account with itself (depth 0) and with each account above it.
create table account_tree (
    ancestor_id text collate "C" not null references accounts (id),
    account_id text collate "C" not null references accounts (id),
    depth bigint not null,
    primary key (ancestor_id, account_id)
);
create index account_tree_account on account_tree (account_id, depth);

create table admin_tokens (
    hash text collate "C" not null primary key,
    account_id text collate "C" not null references accounts (id),
    name text collate "C" not null,
    created_at bigint not null,
    last_used_at bigint,
    expires_at bigint
);
create index admin_tokens_account on admin_tokens (account_id);

create table apis (
    id text collate "C" not null primary key,
    account_id text collate "C" not null references accounts (id),
    name text collate "C" not null,
    settings text not null,
    version bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    deleted_at bigint
);
create index apis_account on apis (account_id, created_at, id);

-- One API answers for a host.
create table api_hosts (
    host text collate "C" not null primary key,
    api_id text collate "C" not null references apis (id)
);
create index api_hosts_api on api_hosts (api_id);

create table keys (
    id text collate "C" not null primary key,
    account_id text collate "C" not null references accounts (id),
    owner_id text collate "C",
    name text collate "C" not null,
    -- In lower case: name, id, start and last8, for partial matches.
    search_text text not null,
    environment text not null,
    environment_code text not null,
    state text not null check (state in ('active', 'revoked', 'deleted')),
    start text not null,
    last8 text not null,
    permissions text not null,
    resources text not null,
    allowed_origins text not null,
    allow_missing_origin bigint not null,
    allowed_ips text not null,
    requests_per_minute bigint,
    requests_per_hour bigint,
    requests_per_day bigint,
    enforcement text not null check (enforcement in ('leased', 'strict')),
    expires_at bigint,
    metadata text not null,
    version bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    last_used_at bigint,
    usage_count bigint not null
);
create index keys_account on keys (account_id, created_at, id);
create index keys_created on keys (created_at, id);

-- SHA-256 of a key's tokens: the current one has no end, the one before it ends with its grace.
create table key_hashes (
    hash text collate "C" not null primary key,
    key_id text collate "C" not null references keys (id),
    not_after bigint
);
create index key_hashes_key on key_hashes (key_id);

-- Changes on their way to the edges.
create table outbox (
    seq bigint not null primary key,
    record text not null,
    created_at bigint not null
);

-- An edge, and how far it has come. A new one is first given every record: snapshot_kind and snapshot_after
-- say how far that has come, and are null once it is done.
create table edge_targets (
    url text collate "C" not null primary key,
    delivered_seq bigint not null,
    snapshot_kind text,
    snapshot_after text,
    created_at bigint not null
);

-- Requests by key, minute since the epoch, API and outcome. A key may be unknown here: it is counted all the same.
create table usage_minutes (
    key_id text collate "C" not null,
    minute bigint not null,
    api_id text collate "C" not null,
    code text not null,
    status_class bigint not null,
    requests bigint not null,
    cost bigint not null,
    latency_ms bigint not null,
    last_at bigint not null,
    primary key (key_id, minute, api_id, code, status_class)
);

-- The last batch of each guard that is counted.
create table usage_cursors (
    guard_id text collate "C" not null primary key,
    account_id text collate "C" not null,
    seq bigint not null,
    updated_at bigint not null
);
