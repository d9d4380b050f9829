//! Bodies larger than any memory that they may take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keyward_tests::{Edge, PATIENCE, world};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::way::{DONE, Way};

const BLOCK: usize = 64 * 1024;
const MIB: u64 = 1024 * 1024;
/// How much workerd may hold of a body, and may grow by, whatever the body's size.
const FLAT: u64 = 64 * MIB;
/// How long a writer must have been stuck to count as held back.
const STUCK: Duration = Duration::from_millis(500);

/// The size of a body: `KEYWARD_TEST_BODY_MIB`, or 1024.
fn size() -> u64 {
    let given = std::env::var("KEYWARD_TEST_BODY_MIB").ok();
    let mib = given.and_then(|mib| mib.parse().ok()).unwrap_or(1_024);
    mib * MIB
}

/// The peak of workerd's resident memory since it was started, in bytes.
fn peak(edge: &Edge) -> u64 {
    let id = edge.process_id().expect("workerd runs");
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: u64 = kib.and_then(|kib| kib.trim().parse().ok()).expect("a peak");
    kib * 1_024
}

/// A block that is like no other of the body.
fn block(number: u64) -> Vec<u8> {
    let mut block = vec![b'.'; BLOCK];
    block[..8].copy_from_slice(&number.to_be_bytes());
    block[BLOCK - 8..].copy_from_slice(&(!number).to_be_bytes());
    block
}

async fn write(stream: &mut TcpStream, written: &AtomicU64) {
    for number in 0..size() / BLOCK as u64 {
        let block = block(number);
        let sent = timeout(PATIENCE, stream.write_all(&block)).await;
        let sent = sent.expect("the gate reads");
        sent.expect("the connection is open");
        written.fetch_add(BLOCK as u64, Ordering::SeqCst);
    }
}

/// Reads everything, and checks that it is what was written, and never far behind.
async fn read(stream: &mut TcpStream, written: &AtomicU64) {
    let mut got = vec![0; BLOCK];
    for number in 0..size() / BLOCK as u64 {
        let all = timeout(PATIENCE, stream.read_exact(&mut got)).await;
        let all = all.expect("the gate writes");
        all.expect("the connection is open");
        assert!(got == block(number), "block {number} is not what was sent");
        let read = (number + 1) * BLOCK as u64;
        let ahead = written.load(Ordering::SeqCst).saturating_sub(read);
        assert!(ahead < FLAT, "{ahead} bytes are somewhere");
    }
}

/// Has a body pass, and asserts what it may take.
async fn pass(edge: &Edge, from: &mut TcpStream, to: &mut TcpStream) {
    let before = peak(edge);
    let written = AtomicU64::new(0);
    tokio::join!(write(from, &written), read(to, &written));
    let grown = peak(edge).saturating_sub(before);
    assert!(grown < FLAT, "workerd grew by {grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_a_gigabyte_passes_whole_in_flat_memory() {
    let way = Way::open(world!(), json!({})).await;
    let (mut upstream, mut caller) = long_answer(&way).await;
    pass(&way.world.edge, &mut upstream, &mut caller).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_a_gigabyte_passes_whole_in_flat_memory() {
    let way = Way::open(world!(), json!({})).await;
    let (mut caller, mut upstream) = long_request(&way).await;
    pass(&way.world.edge, &mut caller, &mut upstream).await;
    let answered = upstream.write_all(DONE.as_bytes()).await;
    answered.expect("the connection is open");
    let mut answer = [0; 12];
    let read = timeout(PATIENCE, caller.read_exact(&mut answer)).await;
    read.expect("an answer in time").expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 204");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_does_not_read_holds_the_other_back() {
    let way = Way::open(world!(), json!({})).await;
    for (mut from, _to) in [long_answer(&way).await, long_request(&way).await] {
        let before = peak(&way.world.edge);
        let written = AtomicU64::new(0);
        tokio::select! {
            () = write(&mut from, &written) => panic!("all of it was taken"),
            () = stuck(&written) => {}
        }
        let taken = written.load(Ordering::SeqCst);
        assert!(taken < FLAT, "{taken} bytes are somewhere");
        let grown = peak(&way.world.edge).saturating_sub(before);
        assert!(grown < FLAT, "workerd grew by {grown} bytes");
    }
}

/// Waits until a writer makes no way any more.
async fn stuck(written: &AtomicU64) {
    let mut last = (0, Instant::now());
    while last.0 == 0 || last.1.elapsed() < STUCK {
        sleep(STUCK / 10).await;
        let now = written.load(Ordering::SeqCst);
        if now != last.0 {
            last = (now, Instant::now());
        }
    }
}

/// An answer of [`size`] that has begun: the ends that write and read it.
async fn long_answer(way: &Way) -> (TcpStream, TcpStream) {
    let mut exchange = way.begin("GET /", &[], "").await;
    let length = format!("Content-Length: {}", size());
    let answer = format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\n");
    exchange.upstream.send(answer).await;
    let head = exchange.caller.head().await;
    let length = size().to_string();
    assert_eq!(head.header("content-length"), Some(length.as_str()));
    let (upstream, caller) = (exchange.upstream, exchange.caller);
    (upstream.into_stream(), caller.into_stream())
}

/// A request of [`size`] that has begun: the ends that write and read it.
async fn long_request(way: &Way) -> (TcpStream, TcpStream) {
    let length = format!("Content-Length: {}", size());
    let exchange = way.begin("POST /", &[&length], "").await;
    let length = size().to_string();
    let asked = &exchange.asked;
    assert_eq!(asked.header("content-length"), Some(length.as_str()));
    let (upstream, caller) = (exchange.upstream, exchange.caller);
    (caller.into_stream(), upstream.into_stream())
}
