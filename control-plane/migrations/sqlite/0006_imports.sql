-- A key whose token was found in public: when, who told, and where it was found.
alter table keys add column leaked_at bigint;
alter table keys add column leak_source text;
alter table keys add column leak_url text;

-- Imports of keys by their hashes. What was refused is told line by line; what was made is told by the keys themselves.
create table imports (
    id text not null primary key,
    account_id text not null references accounts (id),
    state text not null check (state in ('running', 'done', 'failed')),
    lines bigint not null,
    created bigint not null,
    existing bigint not null,
    refused bigint not null,
    started_at bigint not null,
    updated_at bigint not null
);
create index imports_account on imports (account_id, started_at, id);

create table import_refusals (
    import_id text not null references imports (id),
    line bigint not null,
    errors text not null,
    primary key (import_id, line)
);

alter table keys add column import_id text;
alter table keys add column import_line bigint;
create index keys_import on keys (import_id, import_line);
