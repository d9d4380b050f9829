-- Plans: what all keys of an account may spend together in a UTC calendar month, in cost units.
alter table accounts add column requests_per_month bigint;

-- Identities: whoever stands behind several keys of an account, which share its limits. One that is deleted stays, as the
-- edges have to be told that it is gone.
create table identities (
    id text not null primary key,
    account_id text not null references accounts (id),
    name text not null,
    -- What the admin calls it elsewhere.
    external_id text,
    -- Name, external id and id in lower case.
    search_text text not null,
    requests_per_minute bigint,
    requests_per_hour bigint,
    requests_per_day bigint,
    metadata text not null,
    version bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    deleted_at bigint
);
create index identities_account on identities (account_id, created_at, id);

alter table keys add column identity_id text;
create index keys_identity on keys (identity_id);
-- Credits: what was granted under a serial; what is left of it, only the edges know.
alter table keys add column credits_serial bigint;
alter table keys add column credits_granted bigint;
alter table keys add column refill_amount bigint;
alter table keys add column refill_interval text;
