-- Every act of an admin, and of the server by itself. Entries are written in the transaction of the change that they
-- tell of, and never changed or removed.
create table audit_log (
    -- Its place: 1, 2, 3 and so on, without gaps.
    seq bigint not null primary key,
    id text collate "C" not null,
    created_at bigint not null,
    -- The account of what was changed.
    account_id text collate "C" not null,
    actor_kind text collate "C" not null check (actor_kind in ('admin', 'system', 'github', 'holder')),
    token_id text collate "C",
    token_name text,
    member_id text collate "C",
    client_address text,
    request_id text collate "C",
    action text collate "C" not null,
    target_kind text collate "C" not null,
    target_id text collate "C" not null,
    target_name text not null,
    -- What was there and what is now, as the API shows it; of a change only the members that it changed.
    before_view text,
    after_view text,
    outcome text not null,
    -- SHA-256 of the entry before this one, and of this one with it.
    previous_hash text collate "C" not null,
    hash text collate "C" not null
);
create unique index audit_log_id on audit_log (id);
create index audit_log_account on audit_log (account_id, seq);
create index audit_log_target on audit_log (target_id, seq);
create function audit_log_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log is append-only';
end
$$;
create trigger audit_log_append_only before update or delete on audit_log
    for each row execute function audit_log_is_append_only();
create trigger audit_log_not_truncated before truncate on audit_log
    for each statement execute function audit_log_is_append_only();

-- Answers to calls with an Idempotency-Key, for 24 hours. id and the key that the answer is encrypted with are derived from
-- the caller's admin token and Idempotency-Key, and neither is stored.
create table idempotent_answers (
    id text collate "C" not null primary key,
    -- SHA-256 of the request.
    fingerprint text collate "C" not null,
    status bigint not null,
    -- Of what was changed: the ETag.
    version bigint,
    answer text not null,
    expires_at bigint not null
);
create index idempotent_answers_expiry on idempotent_answers (expires_at);

-- The last rotation with a grace: when it began, when the old token ends, and what people see of the old token, which
-- is null for rotations from before these columns.
alter table keys add column rotation_started_at bigint;
alter table keys add column rotation_ends_at bigint;
alter table keys add column rotation_old_start text;
alter table keys add column rotation_old_last8 text;
update keys set rotation_started_at = updated_at,
    rotation_ends_at = (select max(h.not_after) from key_hashes h where h.key_id = keys.id)
where exists (select 1 from key_hashes h where h.key_id = keys.id and h.not_after is not null);
