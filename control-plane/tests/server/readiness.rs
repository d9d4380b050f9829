//! `/readyz` says what is so, also while the server stops.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::wait::PATIENCE;
use crate::support::{Answer, App, until};

async fn probe(app: &App) -> Option<Answer> {
    let request = app.bare(Method::GET, "/readyz");
    Some(Answer::read(request.send().await.ok()?).await)
}

#[tokio::test]
async fn a_database_without_every_migration_is_named() {
    let app = App::start().await;
    app.get("/readyz").await.expect(200);
    app.database.meddle("delete from _sqlx_migrations").await;
    let answer = app.get("/readyz").await;
    assert_eq!(answer.headers["retry-after"], "1");
    let problem = answer.problem(503, "unavailable");
    assert_eq!(problem["parts"], json!(["schema"]));
    assert_eq!(problem["detail"], "Not ready: schema");
    app.get("/healthz").await.expect(200);
}

#[tokio::test]
async fn an_edge_out_of_reach_does_not_make_the_server_unready() {
    let app = App::with_absent_edges(&["http://127.0.0.1:1".to_owned()]).await;
    app.get("/readyz").await.expect(200);
}

#[tokio::test]
async fn a_stopping_server_says_so_before_its_port_closes_and_still_serves() {
    let mut app = App::tuned(&[], |config| config.network.drain = PATIENCE).await;
    app.tell_to_stop();
    let answer = until("it says that it stops", || async {
        probe(&app).await.filter(|answer| answer.status == 503)
    })
    .await;
    let problem = answer.problem(503, "unavailable");
    assert_eq!(problem["parts"], json!(["stopping"]));
    app.get("/healthz").await.expect(200);
    app.get("/v1/keys").await.expect(200);
}

#[tokio::test]
async fn a_stopping_server_closes_its_port_in_the_end() {
    let mut app = App::tuned(&[], |config| {
        config.network.drain = Duration::from_millis(200);
    })
    .await;
    app.tell_to_stop();
    until("the port closes", || async {
        probe(&app).await.is_none().then_some(())
    })
    .await;
    app.stop().await;
}
