-- A key whose token was found in public: when, who told, and where it was found.
alter table keys add column leaked_at bigint;
alter table keys add column leak_source text;
alter table keys add column leak_url text;
