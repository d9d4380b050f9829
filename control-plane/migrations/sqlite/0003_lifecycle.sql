-- Every act of an admin, and of the server by itself. Entries are written in the transaction of the change that they
-- tell of, and never changed or removed.
create table audit_log (
    -- Its place: 1, 2, 3 and so on, without gaps.
    seq bigint not null primary key,
    id text not null,
    created_at bigint not null,
    -- The account of what was changed.
    account_id text not null,
    actor_kind text not null check (actor_kind in ('admin', 'system', 'github', 'holder')),
    token_id text,
    token_name text,
    member_id text,
    client_address text,
    request_id text,
    action text not null,
    target_kind text not null,
    target_id text not null,
    target_name text not null,
    -- What was there and what is now, as the API shows it; of a change only the members that it changed.
    before_view text,
    after_view text,
    outcome text not null,
    -- SHA-256 of the entry before this one, and of this one with it.
    previous_hash text not null,
    hash text not null
);
create unique index audit_log_id on audit_log (id);
create index audit_log_account on audit_log (account_id, seq);
create index audit_log_target on audit_log (target_id, seq);
create trigger audit_log_no_update before update on audit_log begin
    select raise(abort, 'the audit log is append-only');
end;
create trigger audit_log_no_delete before delete on audit_log begin
    select raise(abort, 'the audit log is append-only');
end;

-- Answers to calls with an Idempotency-Key, for 24 hours. id and the key that the answer is encrypted with are derived from
-- the caller's admin token and Idempotency-Key, and neither is stored.
create table idempotent_answers (
    id text not null primary key,
    -- SHA-256 of the request.
    fingerprint text not null,
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
