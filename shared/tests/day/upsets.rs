//! What upsets a quiet day: changes by admins, deaths, clocks.

use rand::RngExt;
use rand_pcg::Pcg64;
use shared::Millis;
use shared::record::{
    Credential, Credits, Enforcement, Interval, KeyRecord, KeyState, RateLimits, Refill,
};
use shared::token::KeyHash;

use super::gate::Gate;
use super::record::{identity, token};
use super::world::{Event, GATES, HOUR, IDENTITIES, KEYS, World};

impl World {
    /// An admin changes a key.
    pub fn change_something(&mut self) {
        let at = self.now + self.about(60_000.0);
        self.put(at, Event::Admin);
        if self.rng.random_bool(0.2) {
            return self.change_what_is_shared();
        }
        let key = self.rng.random_range(0..KEYS);
        let drawn = self.rng.random_range(0..12);
        let (ledger_now, new_credits) = (self.guard_clock(), self.new_credits(key));
        let new_identity = self.rng.random_range(0..2 * IDENTITIES);
        let new_limits = limits(&mut self.rng);
        let grace = self.guard_clock() + [0, 0, 30_000, HOUR][self.rng.random_range(0..4)];
        let record = &mut self.guard.rows[key].record;
        record.version += 1;
        // A revoked key is reactivated next, so that most of the time it works.
        let kind = match record.state {
            KeyState::Active => drawn,
            _ => 3,
        };
        match kind {
            0..3 => {
                record.limits = new_limits;
                self.seen.limits += 1;
            }
            3..6 => {
                record.state = match record.state {
                    KeyState::Active => KeyState::Revoked,
                    _ => KeyState::Active,
                };
                self.seen.states += 1;
            }
            6 => {
                rotate(record, token(key, self.tokens[key]), grace);
                self.guard.add_token(&token(key, self.tokens[key]), key);
                self.tokens[key] += 1;
                self.seen.rotations += 1;
            }
            8..10 => {
                let identity = (new_identity < IDENTITIES).then(|| new_identity.to_string());
                record.identity = identity;
                self.seen.identities += 1;
            }
            10.. => {
                record.credits = new_credits.clone();
                self.seen.credits += 1;
                if let Some(credits) = &new_credits {
                    let row = &mut self.guard.rows[key];
                    row.ledger.adopt(credits, row.next_lease, ledger_now);
                    self.together.set_credits(key, credits, ledger_now);
                }
            }
            _ => {
                record.enforcement = match record.enforcement {
                    Enforcement::Leased => Enforcement::Strict,
                    Enforcement::Strict => Enforcement::Leased,
                };
                self.seen.modes += 1;
            }
        }
        let version = self.guard.rows[key].record.version;
        self.logs[key].change(version, self.now);
    }

    fn change_what_is_shared(&mut self) {
        if self.rng.random_bool(0.5) {
            let n = self.rng.random_range(0..IDENTITIES);
            let limits = limits(&mut self.rng);
            self.guard.identity_limits[n] = limits;
            self.guard.common.identities[n].limit_identity(&identity(limits));
            self.seen.identities += 1;
        } else {
            let most = [2_000, 20_000, 200_000][self.rng.random_range(0..3)];
            let plan = self.rng.random_bool(0.5).then_some(most);
            self.guard.plan_limit = plan;
            self.guard.common.plan.limit_plan(plan);
            self.seen.plans += 1;
        }
    }

    /// More credits of the same serial, or of another, or none.
    fn new_credits(&mut self, key: usize) -> Option<Credits> {
        let known = self.guard.rows[key].record.credits.clone();
        let (serial, granted) = known.map_or((0, 0), |known| (known.serial, known.granted));
        let amount = [200, 20_000][self.rng.random_range(0..2)];
        let interval = [Interval::Daily, Interval::Monthly][self.rng.random_range(0..2)];
        let adds = self.rng.random_bool(0.4);
        let credits = Credits {
            serial: serial + u64::from(!adds),
            granted: if adds { granted + amount } else { 2 * amount },
            refill: self
                .rng
                .random_bool(0.7)
                .then_some(Refill { amount, interval }),
        };
        self.rng.random_bool(0.4).then_some(credits)
    }

    /// Something dies, or a clock steps forward.
    pub fn go_wrong(&mut self) -> Result<(), String> {
        let at = self.now + self.about(120_000.0);
        self.put(at, Event::Fault);
        let place = self.rng.random_range(0..GATES);
        let far = self.rng.random_bool(0.1);
        match self.rng.random_range(0..8) {
            0..3 => {
                self.seen.deaths += 1;
                self.kill(place);
            }
            3..5 => {
                self.seen.restarts += 1;
                self.guard.restart()?;
                let broken = self.under_way.iter().filter(|(_, call)| call.arrived);
                let broken: Vec<u64> = broken.map(|(id, _)| *id).collect();
                for call in broken {
                    self.put(self.now, Event::Fail(call));
                }
            }
            5..7 => {
                self.seen.gate_steps += 1;
                let most = if far { 2 * HOUR } else { 3_000 };
                self.gates[place].ahead += self.rng.random_range(1..most);
            }
            _ => {
                self.seen.guard_steps += 1;
                let most = if far { HOUR / 2 } else { 3_000 };
                self.guard_ahead += self.rng.random_range(1..most);
                self.guard_steps.push(self.now);
            }
        }
        Ok(())
    }

    /// A gate dies with its memory and its requests; another starts in its place.
    fn kill(&mut self, place: usize) {
        let Gate { id, ahead, .. } = self.gates[place];
        self.counts.entry(id).or_default().2 = true;
        self.waiting.retain(|_, waiting| waiting.gate != id);
        self.under_way.retain(|_, call| call.gate != id);
        self.gates[place] = self.new_gate(ahead);
    }
}

/// A new token takes the place of the newest, which works on until the grace is over.
fn rotate(record: &mut KeyRecord, hash: KeyHash, grace: Millis) {
    let old = record.credentials.first().copied();
    record.credentials = vec![Credential {
        hash,
        not_after: None,
    }];
    record.credentials.extend(old.map(|old| Credential {
        not_after: Some(grace),
        ..old
    }));
}

/// Any limits.
pub fn limits(rng: &mut Pcg64) -> RateLimits {
    let minute = [3, 20, 200, 1_000][rng.random_range(0..4)];
    RateLimits {
        requests_per_minute: rng.random_bool(0.9).then_some(minute),
        requests_per_hour: rng.random_bool(0.5).then_some(minute * 10),
        requests_per_day: rng.random_bool(0.5).then_some(minute * 60),
    }
}
