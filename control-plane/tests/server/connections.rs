//! Peers that take their time.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use keyward::listener::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::support::App;
use crate::support::wait::PATIENCE;

/// Long against a moment, short against a test.
const SHORT: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_secs(600);
/// Enough for a head that is written at once, however busy the machine is.
const HEAD: Duration = Duration::from_secs(3);
const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";

fn patient() -> Limits {
    Limits {
        head: LONG,
        idle: LONG,
        write: LONG,
        grace: Duration::from_secs(10),
    }
}

async fn connect(app: &App) -> TcpStream {
    let address = app.base.strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// Reads until the server closes; fails long before [`LONG`] is over.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    // A reset closes as well.
    let _ = timeout(PATIENCE, reading).await.expect("the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads one answer of `/healthz`.
async fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let mut chunk = [0; 1024];
        let reading = timeout(PATIENCE, stream.read(&mut chunk));
        let size = reading.await.expect("an answer").unwrap();
        assert!(size > 0, "closed: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&chunk[..size]);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_head_that_drips_in_is_cut_off_and_others_are_served_meanwhile() {
    let limits = Limits {
        head: SHORT,
        ..patient()
    };
    let app = App::with_limits(limits, |_| {}).await;
    let began = Instant::now();
    let mut silent = connect(&app).await;
    let mut dripping = connect(&app).await;
    let dripped = async {
        let _ = dripping
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nx: ")
            .await;
        // Each byte comes well within the time that the whole head has.
        while dripping.write_all(b"x").await.is_ok() {
            sleep(SHORT / 10).await;
        }
        began.elapsed()
    };
    let (silence, dripped) = tokio::join!(read_to_end(&mut silent), dripped);
    assert_eq!(silence, "");
    assert!(dripped >= SHORT, "{dripped:?}");
    app.get("/healthz").await.expect(200);
}

#[tokio::test]
async fn a_connection_may_rest_between_requests_for_longer_than_a_head_may_take() {
    let limits = Limits {
        head: HEAD,
        ..patient()
    };
    let app = App::with_limits(limits, |_| {}).await;
    let mut stream = connect(&app).await;
    stream.write_all(REQUEST).await.unwrap();
    assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    sleep(HEAD + SHORT).await;
    stream.write_all(REQUEST).await.unwrap();
    assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    // The next head has as little time as the first, and not that of resting.
    stream.write_all(b"GET /hea").await.unwrap();
    read_to_end(&mut stream).await;
}

#[tokio::test]
async fn a_connection_that_rests_for_too_long_is_closed() {
    let limits = Limits {
        idle: SHORT,
        ..patient()
    };
    let app = App::with_limits(limits, |_| {}).await;
    let mut stream = connect(&app).await;
    stream.write_all(REQUEST).await.unwrap();
    assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_a_place() {
    let app = App::with_limits(patient(), |config| {
        config.network.max_connections = NonZeroU32::new(2).unwrap();
    })
    .await;
    let mut first = connect(&app).await;
    let second = connect(&app).await;
    first.write_all(REQUEST).await.unwrap();
    read_answer(&mut first).await;
    let mut third = connect(&app).await;
    third.write_all(REQUEST).await.unwrap();
    let mut byte = [0];
    let waits = timeout(SHORT, third.read(&mut byte)).await;
    assert!(waits.is_err(), "it was served");
    drop(second);
    assert!(read_answer(&mut third).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_stopping_server_finishes_requests_and_closes_resting_connections() {
    let app = App::with_limits(patient(), |_| {}).await;
    let mut resting = connect(&app).await;
    resting.write_all(REQUEST).await.unwrap();
    read_answer(&mut resting).await;
    timeout(PATIENCE, app.stop()).await.expect("it stops");
    assert_eq!(read_to_end(&mut resting).await, "");
}
