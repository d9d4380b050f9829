//! Bounds how often invalid admin tokens can be tried, so that guessing neither succeeds nor loads the database.
//!
//! A client is held up after a number of failures, and all clients together after twenty times as many, so that
//! many addresses give an attacker little more than one. A token that was valid a short while ago is always let
//! through: whoever holds it need not guess, and an attack, also one from behind the same proxy, locks no admin out.
//!
//! What is remembered stays small: a failure is forgotten once it is forgiven, a minute after it at the latest, and
//! the bound on all clients bounds how many there can be until then.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use shared::Millis;

use crate::clock::Clock;
use crate::http::client_address::ClientAddress;

/// How many times as many failures all clients together may have as one.
const EVERYBODY: u32 = 20;
/// How long a token that was valid is let through whatever failures there are, in milliseconds.
const TRUSTED_FOR: Millis = 60 * 60 * 1000;
/// How many such tokens are remembered: more than there are admins who are active within an hour.
const MAX_TRUSTED: usize = 4096;
/// With fewer clients than this nothing is worth cleaning up.
const FEW_CLIENTS: usize = 1024;

/// The bounds on failed authentications of admins.
pub struct LoginLimit {
    one: Bound,
    everybody: Bound,
    clock: Arc<dyn Clock>,
    /// Hashes of tokens that were valid, and when.
    trusted: Mutex<HashMap<String, Millis>>,
}

impl LoginLimit {
    /// The bound of one client; that of all clients follows from it.
    pub fn new(per_minute: NonZeroU32, clock: Arc<dyn Clock>) -> Self {
        let of_all = NonZeroU32::new(per_minute.get().saturating_mul(EVERYBODY));
        Self {
            one: Bound::new(per_minute, &clock),
            everybody: Bound::new(of_all.unwrap_or(per_minute), &clock),
            clock,
            trusted: Mutex::default(),
        }
    }

    /// Whether this client may try this token now.
    ///
    /// # Errors
    /// How long it has to wait.
    pub fn admit(&self, client: ClientAddress, hash: Option<&str>) -> Result<(), Duration> {
        if hash.is_some_and(|hash| self.is_trusted(hash)) {
            return Ok(());
        }
        self.one.check(Some(client.subscriber()))?;
        self.everybody.check(None)
    }

    /// The token was not valid.
    pub fn failed(&self, client: ClientAddress, hash: Option<&str>) {
        if let Some(hash) = hash {
            lock(&self.trusted).remove(hash);
        }
        self.one.count(Some(client.subscriber()));
        self.everybody.count(None);
    }

    /// The token was valid.
    pub fn succeeded(&self, hash: &str) {
        let now = self.clock.now();
        let mut trusted = lock(&self.trusted);
        if let Some(when) = trusted.get_mut(hash) {
            *when = now;
            return;
        }
        if trusted.len() >= MAX_TRUSTED {
            trusted.retain(|_, when| is_recent(*when, now));
        }
        if trusted.len() < MAX_TRUSTED {
            trusted.insert(hash.to_owned(), now);
        }
    }

    fn is_trusted(&self, hash: &str) -> bool {
        let now = self.clock.now();
        let trusted = lock(&self.trusted);
        trusted.get(hash).is_some_and(|when| is_recent(*when, now))
    }
}

fn is_recent(when: Millis, now: Millis) -> bool {
    now.saturating_sub(when) < TRUSTED_FOR
}

/// A number of failures each minute, for each of many.
struct Bound {
    limiter: RateLimiter<Cell, States, Time, NoOpMiddleware<Duration>>,
    states: States,
    time: Time,
    start: Duration,
}

/// Whose failures, and whether one is added or only looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Cell {
    of: Option<IpAddr>,
    adds: bool,
}

impl Bound {
    fn new(per_minute: NonZeroU32, clock: &Arc<dyn Clock>) -> Self {
        let time = Time(Arc::clone(clock));
        let states = States::default();
        Self {
            start: governor::clock::Clock::now(&time),
            limiter: RateLimiter::new(
                Quota::per_minute(per_minute),
                states.clone(),
                Time(Arc::clone(clock)),
            ),
            states,
            time,
        }
    }

    fn now(&self) -> Duration {
        governor::clock::Clock::now(&self.time)
    }

    fn check(&self, of: Option<IpAddr>) -> Result<(), Duration> {
        let cell = Cell { of, adds: false };
        let checked = self.limiter.check_key(&cell);
        checked.map_err(|until| until.wait_time_from(self.now()))
    }

    fn count(&self, of: Option<IpAddr>) {
        // Failures beyond the bound, of requests that were under way together, count for nothing.
        let _ = self.limiter.check_key(&Cell { of, adds: true });
        self.states
            .forget_before(self.now().saturating_sub(self.start));
    }
}

/// When each one's failures are all forgiven, counted from the limiter's start.
#[derive(Debug, Clone, Default)]
struct States(Arc<Mutex<HashMap<Option<IpAddr>, Nanos>>>);

impl States {
    /// Forgets who is forgiven by `now`, when there are many: twice as many as after the last time at the latest.
    fn forget_before(&self, now: Duration) {
        let now = Nanos::from(now);
        let mut states = lock(&self.0);
        if states.len() >= FEW_CLIENTS && states.len() == states.capacity() {
            states.retain(|_, forgiven| *forgiven > now);
            states.shrink_to(FEW_CLIENTS);
        }
    }
}

impl StateStore for States {
    type Key = Cell;

    fn measure_and_replace<T, F, E>(&self, cell: &Cell, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut states = lock(&self.0);
        let (outcome, next) = f(states.get(&cell.of).copied())?;
        if cell.adds {
            states.insert(cell.of, next);
        }
        Ok(outcome)
    }
}

/// The server's clock, as `governor` reads it.
struct Time(Arc<dyn Clock>);

impl governor::clock::Clock for Time {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.now())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn limit(per_minute: u32) -> (LoginLimit, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(1_800_000_000_000));
        let per_minute = NonZeroU32::new(per_minute).unwrap();
        (LoginLimit::new(per_minute, clock.clone()), clock)
    }

    fn client(number: u32) -> ClientAddress {
        ClientAddress(IpAddr::V4(number.into()))
    }

    #[test]
    fn a_client_waits_after_its_failures_until_the_moment_that_it_is_told() {
        let (limit, clock) = limit(3);
        for _ in 0..3 {
            assert_eq!(limit.admit(client(1), None), Ok(()));
            limit.failed(client(1), None);
        }
        let wait = limit.admit(client(1), None).unwrap_err();
        assert_eq!(wait, Duration::from_secs(20));
        assert_eq!(limit.admit(client(2), None), Ok(()));
        clock.advance(19_999);
        assert!(limit.admit(client(1), None).is_err());
        clock.advance(1);
        assert_eq!(limit.admit(client(1), None), Ok(()));
    }

    #[test]
    fn looking_costs_nothing() {
        let (limit, _) = limit(1);
        for _ in 0..1000 {
            assert_eq!(limit.admit(client(1), None), Ok(()));
        }
    }

    #[test]
    fn many_addresses_together_are_bounded_and_trusted_tokens_pass() {
        let (limit, clock) = limit(2);
        limit.succeeded("good");
        for number in 0..40 {
            assert_eq!(limit.admit(client(number), None), Ok(()));
            limit.failed(client(number), None);
        }
        assert!(limit.admit(client(99), Some("new")).is_err());
        assert_eq!(limit.admit(client(99), Some("good")), Ok(()));
        limit.failed(client(99), Some("good"));
        assert!(limit.admit(client(99), Some("good")).is_err());
        limit.succeeded("good");
        clock.advance(TRUSTED_FOR);
        limit.failed(client(5), None);
        assert!(!limit.is_trusted("good"));
    }

    #[test]
    fn memory_stays_bounded_under_many_addresses() {
        let (limit, clock) = limit(20);
        for number in 0..200_000 {
            if limit.admit(client(number), None).is_ok() {
                limit.failed(client(number), None);
            }
            clock.advance(100);
        }
        let remembered = lock(&limit.one.states.0).capacity();
        assert!(remembered < 4 * FEW_CLIENTS, "{remembered}");
        for number in 0..2 * MAX_TRUSTED {
            limit.succeeded(&number.to_string());
        }
        assert_eq!(lock(&limit.trusted).len(), MAX_TRUSTED);
    }
}
