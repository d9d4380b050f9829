//! How often an isolate reads KV for requests that show no key of ours.
//!
//! Such requests cost no I/O once their host is known. Until then the API has to be read once, so that a browser's
//! preflight can be answered and a refusal be read by scripts. A flood that names ever new hosts gets a few such
//! reads a second, and beyond them the refusal alone.
//!
//! Where an API takes imported keys, what a request shows may be one, of any form. Keys that turn out to be nobody's draw
//! on the budget of their client, and on that of all clients: see [`Misses`].

use std::hash::Hasher;
use std::net::IpAddr;

use shared::Millis;
use shared::denial::Denial;
use siphasher::sip128::SipHasher13;

/// A number of acts that may follow each other at once, and one more after each span of time.
#[derive(Debug, Clone)]
pub struct Budget {
    left: u64,
    burst: u64,
    refill_ms: Millis,
    at: Millis,
}

impl Budget {
    /// Nothing is used yet.
    pub const fn new(burst: u64, refill_ms: Millis) -> Self {
        Self {
            left: burst,
            burst,
            refill_ms,
            at: 0,
        }
    }

    /// For reads of APIs.
    pub const fn of_reads() -> Self {
        Self::new(20, 100)
    }

    /// Uses one, if there is one.
    pub fn take(&mut self, now: Millis) -> bool {
        let may = self.has_room(now);
        self.left = self.left.saturating_sub(1);
        may
    }

    /// Whether there is one.
    fn has_room(&mut self, now: Millis) -> bool {
        // A clock that stepped back starts anew.
        let spans = now.checked_sub(self.at).map_or(0, |ms| ms / self.refill_ms);
        if spans > 0 || now < self.at {
            self.left = self.left.saturating_add(spans).min(self.burst);
            self.at = now;
        }
        self.left > 0
    }

    /// Gives back one that was used.
    fn give_back(&mut self) {
        self.left = (self.left + 1).min(self.burst);
    }
}

/// How many clients are told apart. Who shares a place shares its budget: that is sound, and chance alone decides it.
const PLACES: usize = 1_024;
/// The network of a subscriber: that is all of an IPv4 address, which stands behind 96 bits, and half of an IPv6 one.
const SUBSCRIBER: u128 = !(u64::MAX as u128);

/// The budgets for keys that nobody has.
///
/// A look-up draws on them when it begins, and one that finds a key gives back what it drew: so good keys cost nothing,
/// and a flood is bounded however slow KV is.
pub struct Misses {
    hasher: SipHasher13,
    clients: Vec<Budget>,
    all: [Budget; 2],
    guards: Budget,
}

/// Whose look-up it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    place: usize,
    is_described: bool,
}

impl Misses {
    /// Nobody has missed yet; the secret is the isolate's own.
    pub fn new(secret: &[u8; 16]) -> Self {
        Self {
            hasher: SipHasher13::new_with_key(secret),
            clients: vec![Budget::new(20, 1_000); PLACES],
            all: [const { Budget::new(200, 20) }; 2],
            guards: Budget::new(10, 500),
        }
    }

    /// The client with an address; those without one are one client. An address in a description (`is_described`) is only
    /// somebody's word, so it never counts for who comes with it.
    pub fn client(&self, ip: Option<IpAddr>, is_described: bool) -> Client {
        let network = match ip {
            None => 0,
            Some(IpAddr::V4(v4)) => u128::from(v4.to_bits()),
            Some(IpAddr::V6(v6)) => v6.to_bits() & SUBSCRIBER,
        };
        let mut hasher = self.hasher;
        hasher.write(&network.to_le_bytes());
        hasher.write_u8(u8::from(is_described));
        Client {
            place: hasher.finish() as usize % PLACES,
            is_described,
        }
    }

    /// Whether a look-up may begin.
    ///
    /// # Errors
    /// Why not: the client's budget is used up, or that of all.
    pub fn check(&mut self, client: Client, now: Millis) -> Result<(), Denial> {
        let own = self.clients.get_mut(client.place);
        if let Some(own) = own
            && !own.has_room(now)
        {
            let passed = now.saturating_sub(own.at);
            let retry_in = own.refill_ms.saturating_sub(passed);
            return Err(Denial::TooManyUnknown { retry_in });
        }
        let [direct, described] = &mut self.all;
        let all = if client.is_described {
            described
        } else {
            direct
        };
        // It is others' doing.
        if all.has_room(now) {
            Ok(())
        } else {
            Err(Denial::GuardUnavailable)
        }
    }

    /// Begins a look-up.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn draw(&mut self, client: Client, now: Millis) -> Result<(), Denial> {
        self.check(client, now)?;
        self.of(client, |budget| {
            budget.take(now);
        });
        Ok(())
    }

    /// Whether the guard of the API's account may be asked, too. Every isolate asks the same one.
    pub fn may_ask_guard(&mut self, now: Millis) -> bool {
        self.guards.take(now)
    }

    /// The look-up found a key; `asked`: at the guard.
    pub fn found(&mut self, client: Client, asked: bool) {
        self.of(client, Budget::give_back);
        if asked {
            self.guards.give_back();
        }
    }

    fn of(&mut self, client: Client, change: impl Fn(&mut Budget)) {
        if let Some(own) = self.clients.get_mut(client.place) {
            change(own);
        }
        let [direct, described] = &mut self.all;
        change(if client.is_described {
            described
        } else {
            direct
        });
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
