//! Bodies that are large, no text, broken off.

use keyward_tests::{Call, PATIENCE, RawRequest, World, eventually, world};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::survival::Survival;

#[tokio::test(flavor = "multi_thread")]
async fn bodies_pass_byte_for_byte_whatever_they_are() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let large = every_byte.repeat(64 * 1024);
    for body in [Vec::new(), every_byte, b"{\"broken\":".to_vec(), large] {
        let call = Call::post("/echo")
            .key(&survival.key.token)
            .header("content-type", "application/json; charset=\"nonsense\"")
            .body(body.clone());
        let answer = world.send(&call).await;
        assert_eq!(answer.status, 200);
        assert!(answer.body == body, "{} bytes differ", body.len());
    }
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_genuine_key_is_refused_unread() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let before = world.upstream.count();
    let call = Call::post("/echo").body(vec![0xff; 1024 * 1024]);
    let answer = world.send(&call).await;
    answer.refusal(401, "missing_credential");
    assert_eq!(world.upstream.count(), before);
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_with_broken_framing_gets_an_answer() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    for framing in ["zz\r\n\r\n", "-1\r\n\r\n", "ffffffffffffffffff\r\n\r\n"] {
        let request = RawRequest::new("POST /v1/customers HTTP/1.1")
            .key(&survival.key.token)
            .header("Transfer-Encoding: chunked")
            .tail(framing);
        let answer = request.send(&world.edge.url()).await.expect("an answer");
        // The runtime does not tell a caller that breaks off from an upstream that does.
        answer.refusal(502, "upstream_unreachable");
        for path in ["verify", "push"] {
            let line = format!("POST /.keyward/{path} HTTP/1.1");
            let request = RawRequest::new(line)
                .header("Content-Type: application/json")
                .header("Transfer-Encoding: chunked")
                .tail(framing);
            let answer = request.send(&world.edge.url()).await.expect("an answer");
            if path == "verify" {
                answer.problem(400, "bad_request");
            } else {
                answer.problem(401, "invalid_signature");
            }
        }
    }
    survival.holds().await;
}

async fn half_a_request(world: &World, line: &str, rest: &str) -> TcpStream {
    let address = world.edge.url().replace("http://", "");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!("{line} HTTP/1.1\r\nHost: api.example.test\r\n{rest}");
    let written = stream.write_all(head.as_bytes()).await;
    written.expect("the edge reads");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_hang_up_in_the_middle_leave_nothing_behind() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let key = format!("Authorization: Bearer {}\r\n", survival.key.token);
    let body = "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\nbegun";
    for path in ["/v1/customers", "/.keyward/verify", "/.keyward/push"] {
        for rest in ["", "X-Cut: off", &key, &format!("{key}{body}")] {
            let line = format!("POST {path}");
            drop(half_a_request(&world, &line, rest).await);
        }
    }
    let before = world.upstream.count();
    for number in 1..=10 {
        let rest = format!("{key}\r\n");
        let waiting = half_a_request(&world, "GET /slow/60000", &rest).await;
        eventually("the request arrives", PATIENCE, || async {
            (world.upstream.count() >= before + number).then_some(())
        })
        .await;
        drop(waiting);
    }
    survival.holds().await;
}
