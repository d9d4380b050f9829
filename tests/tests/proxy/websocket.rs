//! WebSockets (RFC 6455), with a library that is not ours at both ends.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use keyward_tests::{Head, PATIENCE, world};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use crate::way::{HOST, Way};

/// The key and its answer that RFC 6455, section 1.3, has as the example.
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// More than any buffer on the way.
const LARGE: usize = 8 * 1024 * 1024;

type Socket = WebSocketStream<TcpStream>;

/// Both ends of a WebSocket through the gate.
struct Sockets {
    caller: Socket,
    upstream: Socket,
    /// The request as the upstream got it.
    asked: Head,
    /// The answer as the caller got it.
    answered: Head,
}

async fn open(way: &Way, asks: &[&str], answers: &[&str]) -> Sockets {
    let mut lines = vec![
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        KEY,
    ];
    lines.extend(asks);
    let mut exchange = way.begin("GET /socket?a=b", &lines, "").await;
    let key = exchange.asked.header("sec-websocket-key").expect("a key");
    let accept = accept_for(key);
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n"
    );
    for line in answers {
        answer.push_str(line);
        answer.push_str("\r\n");
    }
    exchange.upstream.send(answer + "\r\n").await;
    let answered = exchange.caller.head().await;
    assert_eq!(answered.status(), 101);
    assert_eq!(answered.header("sec-websocket-accept"), Some(ACCEPT));
    let config = WebSocketConfig::default();
    let (caller, upstream) = (
        exchange.caller.into_stream(),
        exchange.upstream.into_stream(),
    );
    Sockets {
        caller: WebSocketStream::from_raw_socket(caller, Role::Client, Some(config)).await,
        upstream: WebSocketStream::from_raw_socket(upstream, Role::Server, Some(config)).await,
        asked: exchange.asked,
        answered,
    }
}

fn accept_for(key: &str) -> String {
    tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes())
}

async fn next(socket: &mut Socket) -> Message {
    let message = timeout(PATIENCE, socket.next()).await;
    let message = message.expect("a message comes in time");
    message.expect("the socket is open").expect("a message")
}

async fn pass(from: &mut Socket, to: &mut Socket, message: &Message) {
    // A large message is read while it is sent.
    let (sent, got) = tokio::join!(from.send(message.clone()), next(to));
    sent.expect("the socket is open");
    assert_eq!(&got, message);
}

fn close(code: CloseCode, reason: &str) -> Message {
    Message::Close(Some(CloseFrame {
        code,
        reason: reason.into(),
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_every_kind_and_size_pass_both_ways() {
    let way = Way::open(world!(), json!({})).await;
    let mut sockets = open(&way, &[], &[]).await;
    assert_eq!(sockets.asked.target(), "/socket?a=b");
    let binary: Vec<u8> = (0..LARGE).map(|n| (n % 251) as u8).collect();
    for message in [
        Message::text(""),
        Message::text("h\u{e9}llo \u{2713}"),
        Message::text("x".repeat(LARGE)),
        Message::binary(vec![]),
        Message::binary(vec![0, 255, 10, 13]),
        Message::binary(binary),
    ] {
        pass(&mut sockets.caller, &mut sockets.upstream, &message).await;
        pass(&mut sockets.upstream, &mut sockets.caller, &message).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_keep_their_order() {
    let way = Way::open(world!(), json!({})).await;
    let Sockets {
        mut caller,
        mut upstream,
        ..
    } = open(&way, &[], &[]).await;
    let numbers = 0..1_000;
    let send = async {
        for number in numbers.clone() {
            caller
                .send(Message::text(number.to_string()))
                .await
                .expect("the socket is open");
        }
    };
    let receive = async {
        for number in numbers.clone() {
            assert_eq!(next(&mut upstream).await, Message::text(number.to_string()));
        }
    };
    tokio::join!(send, receive);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subprotocol_is_agreed_between_caller_and_upstream() {
    let way = Way::open(world!(), json!({})).await;
    let sockets = open(
        &way,
        &["Sec-WebSocket-Protocol: chat.v2, chat.v1"],
        &["Sec-WebSocket-Protocol: chat.v1"],
    )
    .await;
    assert_eq!(
        sockets.asked.header("sec-websocket-protocol"),
        Some("chat.v2, chat.v1")
    );
    assert_eq!(
        sockets.answered.header("sec-websocket-protocol"),
        Some("chat.v1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_headers_of_a_handshake_pass_like_any_others() {
    let way = Way::open(world!(), json!({})).await;
    let sockets = open(
        &way,
        &[
            "Cookie: a=b",
            "Origin: https://app.example.test",
            "X-Keyward-Key-Id: evil",
        ],
        &[
            "Set-Cookie: c=d",
            "Set-Cookie: e=f",
            "X-Node: 7",
            "X-Keyward-Any: evil",
        ],
    )
    .await;
    assert_eq!(sockets.asked.header("cookie"), Some("a=b"));
    assert_eq!(
        sockets.asked.header("origin"),
        Some("https://app.example.test")
    );
    assert_eq!(
        sockets.asked.header("x-keyward-key-id"),
        Some(way.key.as_str())
    );
    assert!(sockets.asked.header("x-keyward-assertion").is_some());
    assert_eq!(sockets.asked.header("authorization"), None);
    assert_eq!(sockets.asked.header("x-forwarded-host"), Some(HOST));
    assert_eq!(sockets.answered.all("set-cookie"), ["c=d", "e=f"]);
    assert_eq!(sockets.answered.header("x-node"), Some("7"));
    assert_eq!(sockets.answered.header("x-keyward-any"), None);
    assert!(sockets.answered.header("x-keyward-request-id").is_some());
    assert!(sockets.answered.header("x-ratelimit-remaining").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_for_closing_reaches_the_other_side() {
    let way = Way::open(world!(), json!({})).await;
    for message in [
        close(CloseCode::Normal, ""),
        close(CloseCode::from(4_321), "b\u{e9}cause"),
    ] {
        let mut sockets = open(&way, &[], &[]).await;
        pass(&mut sockets.caller, &mut sockets.upstream, &message).await;
        let mut sockets = open(&way, &[], &[]).await;
        pass(&mut sockets.upstream, &mut sockets.caller, &message).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_vanishes_takes_the_other_with_it() {
    let way = Way::open(world!(), json!({})).await;
    let Sockets {
        caller,
        mut upstream,
        ..
    } = open(&way, &[], &[]).await;
    drop(caller);
    assert!(ends(&mut upstream).await);
    let Sockets {
        mut caller,
        upstream,
        ..
    } = open(&way, &[], &[]).await;
    drop(upstream);
    assert!(ends(&mut caller).await);
}

async fn ends(socket: &mut Socket) -> bool {
    let end = timeout(PATIENCE, socket.next()).await;
    !matches!(end.expect("an end comes in time"), Some(Ok(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_outlives_the_time_limit_of_the_answer() {
    const LIMIT: Duration = Duration::from_secs(6);
    let settings = json!({"upstreamTimeoutMs": LIMIT.as_millis() as u64});
    let way = Way::open(world!(), settings).await;
    let mut sockets = open(&way, &[], &[]).await;
    let opened = Instant::now();
    while opened.elapsed() < LIMIT * 3 / 2 {
        let message = Message::text("still there");
        pass(&mut sockets.caller, &mut sockets.upstream, &message).await;
        pass(&mut sockets.upstream, &mut sockets.caller, &message).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_without_a_good_key_is_refused_and_reaches_nobody() {
    let way = Way::open(world!(), json!({})).await;
    let lines = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        KEY,
    ];
    let head = way
        .head("GET /", &lines)
        .replace(&way.token, "kw_prod_sk_nonsense");
    let mut caller = way.connect().await;
    caller.send(head).await;
    let answered = caller.head().await;
    assert_eq!(answered.status(), 401);
    assert!(answered.header("www-authenticate").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_declines_the_handshake_answers_as_usual() {
    let way = Way::open(world!(), json!({})).await;
    let lines = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        KEY,
    ];
    let mut exchange = way.begin("GET /", &lines, "").await;
    exchange
        .upstream
        .send("HTTP/1.1 426 Upgrade Required\r\nX-A: b\r\nContent-Length: 2\r\n\r\nno")
        .await;
    let head = exchange.caller.head().await;
    assert_eq!((head.status(), head.header("x-a")), (426, Some("b")));
    assert_eq!(exchange.caller.body(&head).await, b"no");
}
