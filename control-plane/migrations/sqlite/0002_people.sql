-- Roles of an account's own. The built-in ones (owner, admin, developer, viewer) are in the code.
create table roles (
    id text not null primary key,
    account_id text not null references accounts (id),
    name text not null,
    description text not null,
    -- What its holders may do here, and what its members' keys may do at APIs: lists of permissions.
    management_permissions text not null,
    api_permissions text not null,
    version bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    deleted_at bigint
);
create index roles_account on roles (account_id, created_at, id);
create unique index roles_name on roles (account_id, name) where deleted_at is null;

create table members (
    id text not null primary key,
    account_id text not null references accounts (id),
    -- In lower case.
    email text not null,
    name text not null,
    -- In lower case: name, email and id, for partial matches.
    search_text text not null,
    -- A built-in role's name, or the id of a role of the account's own.
    role text not null,
    status text not null check (status in ('invited', 'active')),
    -- SHA-256 of the invitation under way.
    invitation_hash text,
    invitation_expires_at bigint,
    version bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    removed_at bigint
);
create index members_account on members (account_id, created_at, id);
create index members_role on members (role);
create unique index members_email on members (account_id, email) where removed_at is null;
create unique index members_invitation on members (invitation_hash) where invitation_hash is not null;

-- Tokens from before, and those that a program from before may still add, act as owners of their account.
alter table admin_tokens add column id text not null default '';
-- The member it stands for; the role is the member's then.
alter table admin_tokens add column member_id text references members (id);
alter table admin_tokens add column role text not null default 'owner';
-- What it may do at most, whatever its role says; null: all that the role says.
alter table admin_tokens add column permissions text;
-- Who made it: a token's id.
alter table admin_tokens add column created_by text;
alter table admin_tokens add column revoked_at bigint;
update admin_tokens set id = 'tok_' || substr(hash, 1, 20);
-- A program from before names no id.
create trigger admin_tokens_named after insert on admin_tokens when new.id = '' begin
    update admin_tokens set id = 'tok_' || substr(new.hash, 1, 20) where hash = new.hash;
end;
create unique index admin_tokens_id on admin_tokens (id);
create index admin_tokens_created on admin_tokens (account_id, created_at, id);
create index admin_tokens_member on admin_tokens (member_id);
create index admin_tokens_role on admin_tokens (role);

create index keys_owner on keys (owner_id);

-- Until now a key's owner was any text. Each of them becomes a member, in a role that bounds keys no more than none did;
-- the edges are given everything again, so that they know them.
update counters set value = value + 1
where name = 'outbox_seq' and exists (select 1 from keys where owner_id is not null);
insert into members
    (id, account_id, email, name, search_text, role, status, version, created_at, updated_at)
select 'mem_' || substr(min(id), 5), account_id, 'mem_' || lower(substr(min(id), 5)) || '@members.invalid', owner_id,
    lower(owner_id), 'developer', 'invited',
    (select value from counters where name = 'outbox_seq'), min(created_at), min(created_at)
from keys where owner_id is not null
group by account_id, owner_id;
update keys set
    owner_id = (select m.id from members m where m.account_id = keys.account_id and m.name = keys.owner_id),
    version = (select value from counters where name = 'outbox_seq')
where owner_id is not null;
update edge_targets set snapshot_kind = 'account', snapshot_after = ''
where exists (select 1 from members);
