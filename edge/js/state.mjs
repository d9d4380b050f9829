// What a guard holds, told in sums, so that the control plane finds what differs without all records travelling. The
// question and the answer are those of `StateAsk` in shared/src/message.rs; the tables are those of edge/src/guard/store.rs.
// SQLite writes the lines: sums of 64 bits don't pass through JavaScript.
const RECORDS = `select kind || ' ' || substr(id, 1, ?1) || ' ' || count(*) || ' ' || sum(version % 2147483629)
  || ' ' || max(version) from records where (kind, id) between (?2, ?3) and (?4, ?5) group by kind, substr(id, 1, ?1)`;
const NAMES = `select name || ' ' || id || ' ' || coalesce(place, version)
  from records join names using (kind, id) left join late using (kind, id)
  where kind = ? and name > ? and gone_at_version is null order by name limit ?`;

const LEDGERS = `select key || ' ' || body from ledgers where key in (?, ?, ?)`;

export async function held(sql, [prefix, ...params], copyOf) {
  const query = { "": RECORDS, l: LEDGERS }[prefix] ?? NAMES;
  const lines = [...sql.exec(query, ...params).raw()].flat();
  // The last name, then those of which KV has an older version. A key's may be its owner's, and so higher than its own.
  const old = async (line) => {
    const [name, , version] = line.split(" ");
    return (await copyOf(prefix + name))?.version >= version ? [] : line;
  };
  return (query === NAMES ? [lines.at(-1), ...(await Promise.all(lines.map(old)))].flat() : lines).join("\n");
}
