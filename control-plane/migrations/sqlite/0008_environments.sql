-- Environments that accounts define, for themselves and all accounts below. A row that has the name of one that is built in
-- (production, staging, development) only sets its schedule, for the account and those below.
create table environments (
    id text not null primary key,
    account_id text not null references accounts (id),
    name text not null,
    code text not null,
    -- A token is due to be replaced after so many days; null: never.
    rotate_after_days bigint,
    version bigint not null,
    created_at bigint not null,
    updated_at bigint not null
);
create index environments_account on environments (account_id, created_at, id);

-- When the current token was made, and the one before it in a rotation with a grace; null for keys of servers before this
-- column that were made since: their own time then.
alter table keys add column token_created_at bigint;
alter table keys add column rotation_old_created_at bigint;
-- Of keys from before, the audit log knows: the last rotation that was not taken back.
update keys set token_created_at = coalesce((
    select max(r.created_at) from audit_log r
    where r.target_id = keys.id and r.action = 'key.rotate' and not exists (
        select 1 from audit_log c
        where c.target_id = keys.id and c.action = 'key.cancel_rotation' and c.seq > r.seq and not exists (
            select 1 from audit_log s
            where s.target_id = keys.id and s.action = 'key.rotate' and s.seq > r.seq and s.seq < c.seq))
), created_at);

-- What keys and endpoints use becomes an environment of their account, unless an account above uses the same.
with used (account_id, name, code) as (
    select account_id, environment, environment_code from keys where state <> 'deleted'
    union
    select a.account_id, json_extract(e.value, '$.environment'), json_extract(e.value, '$.code')
    from apis a, json_each(a.settings, '$.endpoints') e where a.deleted_at is null
)
insert into environments (id, account_id, name, code, version, created_at, updated_at)
select 'env_' || lower(hex(randomblob(8))), u.account_id, u.name, u.code, 1,
    cast(strftime('%s', 'now') as integer) * 1000, cast(strftime('%s', 'now') as integer) * 1000
from used u
where u.code not in ('prod', 'stg', 'dev') and not exists (
    select 1 from used above join account_tree t on t.ancestor_id = above.account_id
    where t.account_id = u.account_id and t.depth > 0 and above.name = u.name and above.code = u.code);
