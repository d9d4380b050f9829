use super::*;

const START: Millis = 1_700_000_000_000;

fn address(n: u32) -> Option<IpAddr> {
    Some(IpAddr::V4(n.into()))
}

fn misses() -> Misses {
    Misses::new(&[7; 16])
}

/// How many look-ups of unknown keys may begin, of one in each millisecond.
fn begun(
    misses: &mut Misses,
    from: Millis,
    ms: Millis,
    client: impl Fn(Millis) -> Client,
) -> usize {
    (from..from + ms)
        .filter(|now| misses.draw(client(*now), *now).is_ok())
        .count()
}

#[test]
fn a_flood_reads_a_burst_and_then_ten_a_second() {
    let mut budget = Budget::of_reads();
    let reads = |from: Millis, budget: &mut Budget| {
        (from..from + 1_000).filter(|now| budget.take(*now)).count()
    };
    assert_eq!(reads(START, &mut budget), 29);
    assert_eq!(reads(START + 1_000, &mut budget), 10);
    assert_eq!(reads(START + 60_000, &mut budget), 29);
    // Back by an hour: still bounded.
    assert!(reads(START - 3_600_000, &mut budget) <= 10);
}

#[test]
fn one_client_misses_twenty_times_and_then_once_a_second() {
    let mut misses = misses();
    let client = misses.client(address(1), false);
    assert_eq!(begun(&mut misses, START, 1_000, |_| client), 20);
    assert_eq!(begun(&mut misses, START + 1_000, 10_000, |_| client), 10);
    // Others have theirs.
    let other = misses.client(address(2), false);
    assert_ne!(other, client);
    assert_eq!(begun(&mut misses, START + 11_000, 500, |_| other), 20);
    // Back by an hour: still bounded.
    assert!(begun(&mut misses, START - 3_600_000, 1_000, |_| client) <= 1);
}

#[test]
fn all_clients_miss_two_hundred_times_and_then_fifty_times_a_second() {
    let mut misses = misses();
    let many = |misses: &mut Misses, from| {
        let clients: Vec<_> = (0..1_000)
            .map(|n| misses.client(address(n), false))
            .collect();
        begun(misses, from, 1_000, |now| clients[(now % 1_000) as usize])
    };
    let first = many(&mut misses, START);
    assert!((200..=250).contains(&first), "{first}");
    let second = many(&mut misses, START + 1_000);
    assert!((45..=50).contains(&second), "{second}");
    let late = misses.client(address(5_000), false);
    assert_eq!(
        misses.check(late, START + 1_999),
        Err(Denial::GuardUnavailable)
    );
    // Whoever describes requests draws on another budget.
    let described = misses.client(address(5_000), true);
    assert_eq!(misses.check(described, START + 1_999), Ok(()));
}

#[test]
fn good_keys_draw_nothing_however_many_there_are() {
    let mut misses = misses();
    let client = misses.client(address(1), false);
    for n in 0..10_000 {
        assert_eq!(misses.draw(client, START), Ok(()), "{n}");
        assert!(misses.may_ask_guard(START), "{n}");
        misses.found(client, true);
    }
}

#[test]
fn who_waits_as_told_may_look_up_one_more() {
    let mut misses = misses();
    let client = misses.client(address(1), false);
    begun(&mut misses, START, 300, |_| client);
    let Err(Denial::TooManyUnknown { retry_in }) = misses.check(client, START + 300) else {
        panic!("the budget is used up");
    };
    assert!(misses.check(client, START + 300 + retry_in - 1).is_err());
    assert!(misses.draw(client, START + 300 + retry_in).is_ok());
    assert!(misses.draw(client, START + 300 + retry_in).is_err());
}

#[test]
fn a_subscriber_of_ipv6_is_one_client_and_so_are_all_without_an_address() {
    let misses = misses();
    let client = |ip: &str| misses.client(Some(ip.parse().unwrap()), false);
    assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:2"));
    assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
    assert_eq!(misses.client(None, false), misses.client(None, false));
}
