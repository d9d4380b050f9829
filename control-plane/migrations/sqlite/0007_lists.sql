-- Lists of an account with a million keys: every filter finds its page by an index, in the order of the list where that
-- can be. Indexes hold only the rows that are asked for by them.

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

-- The keys whose search text has three characters in a row, for every three. Kept by triggers, so that programs from before
-- keep it, too. A row that is left over does no harm: what it finds is looked at again.
create virtual table key_search using fts5 (
    key_id unindexed, text,
    content = '', contentless_delete = 1, contentless_unindexed = 1, detail = none, tokenize = 'trigram case_sensitive 1'
);
insert into key_search (key_id, text) select id, search_text from keys order by created_at, id;
create trigger keys_searched after insert on keys when new.search_text <> '' begin
    insert into key_search (key_id, text) values (new.id, new.search_text);
end;
create trigger keys_searched_anew after update of search_text on keys when new.search_text <> old.search_text begin
    -- The id is part of the text: six times three of its characters lead to the row.
    delete from key_search where rowid in (
        select rowid from key_search
        where old.search_text <> '' and key_id = old.id and key_search match
            '"' || lower(substr(old.id, 5, 3)) || '" "' || lower(substr(old.id, 8, 3)) || '" "' ||
            lower(substr(old.id, 11, 3)) || '" "' || lower(substr(old.id, 14, 3)) || '" "' ||
            lower(substr(old.id, 17, 3)) || '" "' || lower(substr(old.id, 20, 3)) || '"');
    insert into key_search (key_id, text) values (new.id, new.search_text);
end;
