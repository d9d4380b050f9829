// What a guard holds, told in sums, so that the control plane finds what differs without all records travelling. The
// question and the answer are those of `StateAsk` in shared/src/message.rs; the tables are those of edge/src/guard/store.rs.
// SQLite puts the lines together: sums of 64 bits don't pass through JavaScript.
const lines = (line, from) => `select coalesce(group_concat(line, char(10)), '') from (select ${line} line from ${from})`;

const RECORDS = lines(
  `kind || ' ' || substr(id, 1, ?3) || ' ' || count(*) || ' ' || sum(version % 2147483629)
   || ' ' || sum((version % 65521) * (version % 65519)) || ' ' || max(version)`,
  `records where (kind, id) >= (?1, ?2) and (kind, id) < (?1 || case ?2 when '' then '~' else '' end, ?2 || '~')
   group by kind, substr(id, 1, ?3)`,
);
const NAMES = lines(
  `case kind when 'api' then 'h' else substr(kind, 1, 1) end || '/' || name || ' ' || id || ' ' || version`,
  `names join records using (kind, id) where kind = ?1 and name > ?2 and gone_at_version is null order by name limit ?3`,
);

export async function held(sql, [kv, ...params], copyOf) {
  const [[rows]] = sql.exec(kv ? NAMES : RECORDS, ...params).raw();
  if (!kv) return rows;
  // The last name, then those of which KV has another version.
  const names = rows.split("\n");
  const checked = names.map(async (line) => {
    const [name, , version] = line.split(" ");
    return !name || (await copyOf(name))?.version === +version ? "" : `\n${line}`;
  });
  return names.at(-1) + (await Promise.all(checked)).join("");
}
