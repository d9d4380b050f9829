// A guard's statements. Parameters and rows cross the boundary as JSON, one text each way (`Sql` in edge/src/boundary.rs).
export class Sql {
  #sql;
  constructor(sql) {
    this.#sql = sql;
  }
  exec(query, params) {
    return JSON.stringify([...this.#sql.exec(query, ...JSON.parse(params)).raw()]);
  }
}
