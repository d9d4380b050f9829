-- Lists of an account with a million keys: every filter finds its page by an index, in the order of the list where that
-- can be. Indexes hold only the rows that are asked for by them.
set local statement_timeout = 0;

-- The day, counted from the epoch, of the key's last use, or of its making: never later than that, and in an index that is
-- changed once a day, not by every report of usage. 0: not known, as of keys that an older program writes.
alter table keys add column used_day bigint not null default 0;
update keys set used_day = coalesce(last_used_at, created_at) / 86400000;

drop index keys_account;
create index keys_listed on keys (account_id, created_at, id) where state <> 'deleted';
create index keys_environment on keys (account_id, environment, created_at, id) where state <> 'deleted';
create index keys_state on keys (account_id, state, created_at, id);
create index keys_expiring on keys (account_id, expires_at) where state = 'active' and expires_at is not null;
create index keys_used on keys (account_id, used_day) where state <> 'deleted';
create index keys_of_owner on keys (account_id, owner_id, created_at, id) where owner_id is not null;

drop index keys_owner;
create index keys_owner on keys (owner_id) where owner_id is not null;
drop index keys_identity;
create index keys_identity on keys (identity_id) where identity_id is not null;
drop index keys_import;
create index keys_import on keys (import_id, import_line) where import_id is not null;

create index usage_throttled on usage_minutes (minute, key_id) where code = 'rate_limited';

-- Searches for a part of a text have an index of trigrams where the server has the extension for it: the program makes it
-- after the migrations, whenever it finds that it can.
