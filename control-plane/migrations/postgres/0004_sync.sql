-- Two lanes to the edges: 0 is urgent and overtakes 1, the bulk of imports. Each is in the order of its changes.
alter table outbox add column lane bigint not null default 0;
create index outbox_lane on outbox (lane, seq);

-- How far an edge has come in the bulk lane; delivered_seq is the urgent one's.
alter table edge_targets add column delivered_bulk bigint not null default 0;
update edge_targets set delivered_bulk = delivered_seq;
-- The process that delivers to it. While it lives it lets beat grow; another takes over when that stands still.
alter table edge_targets add column holder text;
alter table edge_targets add column beat bigint not null default 0;
-- When a process last said that it is configured with this edge.
alter table edge_targets add column wanted_at bigint not null default 0;
-- Records of a full delivery: those that the edge has, and about how many there are.
alter table edge_targets add column snapshot_done bigint not null default 0;
alter table edge_targets add column snapshot_total bigint not null default 0;
-- How it took the last push: 1 well, 0 not; null before the first.
alter table edge_targets add column reachable bigint;
alter table edge_targets add column success_at bigint;
alter table edge_targets add column failure text;
alter table edge_targets add column failure_at bigint;

-- Tombstones of records that an edge had and the database had not, as after a backup was restored: one row for each account
-- whose guard has it.
create table lost_records (
    id text collate "C" not null,
    account_id text collate "C" not null,
    kind text collate "C" not null,
    version bigint not null,
    primary key (id, account_id)
);
create index lost_records_account on lost_records (account_id, kind);
