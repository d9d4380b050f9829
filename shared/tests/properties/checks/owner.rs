use std::collections::BTreeMap;

use serde_json::json;
use shared::guard::{AtHand, Shares, answer, bind, place, replaces};
use shared::ledger::Ledger;
use shared::message::{KeyAnswer, KeyAsk};
use shared::permission::{Permission, allows};
use shared::record::{KeyRecord, KeyState, MemberRecord, Record, RoleRecord, built_in_role};
use shared::token::KeyHash;

use super::draw::Draw;

const ACCOUNT: &str = "acc_Ab3dE6gH";
const OWNERS: [&str; 2] = ["mem_1", "mem_2"];
const ROLES: [&str; 5] = ["role_1", "role_2", "owner", "viewer", "emperor"];
const MAY: [&str; 4] = ["*", "a.*", "a.read", "b.read"];

/// However changes of a key, of members and of roles reach a guard, in whatever order: a record that the guard calls
/// current is the key as its owner binds it at that moment. When all have come, nothing exceeds the role.
pub fn owner(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let mut plane = Plane::default();
    let mut guard = Guard::default();
    let mut gate = Gate::default();
    plane.make(&mut draw);
    for _ in 0..24 {
        match draw.below(6) {
            0 => plane.change_key(&mut draw),
            1 => plane.change_member(&mut draw),
            2 => plane.change_role(&mut draw),
            3 | 4 if !plane.under_way.is_empty() => {
                // Mostly in order; now and then one overtakes another, or comes twice.
                let at = if draw.one_in(4) {
                    draw.below(plane.under_way.len())
                } else {
                    0
                };
                guard.take(&plane.under_way[at]);
                if !draw.one_in(8) {
                    plane.under_way.remove(at);
                }
            }
            _ => {
                if draw.one_in(4) {
                    gate.forget_and_read_kv(&guard);
                }
                gate.ask(&guard);
            }
        }
    }
    for record in std::mem::take(&mut plane.under_way) {
        guard.take(&record);
        if draw.one_in(3) {
            gate.ask(&guard);
        }
    }
    gate.ask(&guard);
    plane.is_in_force(gate.held.as_ref());
}

/// What was decided, and what is under way of it.
#[derive(Default)]
struct Plane {
    last: u64,
    all: BTreeMap<String, Record>,
    under_way: Vec<Record>,
}

impl Plane {
    fn make(&mut self, draw: &mut Draw<'_>) {
        for id in &ROLES[..2] {
            self.put_role(id, draw);
        }
        for id in OWNERS {
            self.put_member(id, draw);
        }
        self.change_key(draw);
    }

    fn put(&mut self, id: &str, record: Record) {
        self.under_way.push(record.clone());
        self.all.insert(id.to_owned(), record);
    }

    fn version(&mut self, draw: &mut Draw<'_>) -> u64 {
        self.last += 1 + draw.below(2) as u64;
        self.last
    }

    fn change_key(&mut self, draw: &mut Draw<'_>) {
        let json = json!({
            "id": "key_1", "version": self.version(draw), "account": ACCOUNT,
            "owner": (!draw.one_in(5)).then(|| draw.pick(&OWNERS)), "environment": "prod",
            "state": draw.pick(&["active", "active", "active", "revoked"]),
            "credentials": [{"hash": KeyHash::of("the token").to_hex()}],
            "permissions": draw.list(3, |draw| draw.pick(&MAY)),
        });
        let key = serde_json::from_value(json).expect("a key");
        self.put("key_1", Record::Key(key));
    }

    fn change_member(&mut self, draw: &mut Draw<'_>) {
        let id = draw.pick(&OWNERS);
        self.put_member(id, draw);
    }

    fn put_member(&mut self, id: &str, draw: &mut Draw<'_>) {
        let record = MemberRecord {
            id: id.to_owned(),
            version: self.version(draw),
            account: ACCOUNT.to_owned(),
            ancestors: Vec::new(),
            role: draw.pick(&ROLES).to_owned(),
            removed: draw.one_in(4),
        };
        self.put(id, Record::Member(record));
    }

    fn change_role(&mut self, draw: &mut Draw<'_>) {
        let id = draw.pick(&ROLES[..2]);
        self.put_role(id, draw);
    }

    fn put_role(&mut self, id: &str, draw: &mut Draw<'_>) {
        let may = draw.list(3, |draw| draw.pick(&MAY));
        let record = RoleRecord {
            id: id.to_owned(),
            version: self.version(draw),
            account: ACCOUNT.to_owned(),
            ancestors: Vec::new(),
            permissions: may.into_iter().map(permission).collect(),
            deleted: draw.one_in(4),
        };
        self.put(id, Record::Role(record));
    }

    /// What a gate has of the key when all of it has arrived.
    fn is_in_force(&self, held: Option<&KeyRecord>) {
        let Some(Record::Key(key)) = self.all.get("key_1") else {
            panic!("a key was made");
        };
        let role = match key.owner.as_ref().map(|owner| &self.all[owner]) {
            Some(Record::Member(owner)) if key.state == KeyState::Active => {
                if owner.removed {
                    let state = held.map(|key| key.state);
                    return assert_eq!(state, Some(KeyState::OwnerRemoved));
                }
                match self.all.get(&owner.role) {
                    Some(Record::Role(role)) if role.deleted => Some(Vec::new()),
                    Some(Record::Role(role)) => Some(role.permissions.clone()),
                    _ => match built_in_role(&owner.role) {
                        None => return assert_eq!(held, None, "nobody knows what it may do"),
                        built_in => built_in,
                    },
                }
            }
            _ => None,
        };
        let held = held.expect("the guard has it");
        assert_eq!(held.state, key.state);
        for needed in ["a.read", "a.write", "b.read", "c.read"].map(permission) {
            let of_role = |role: &Option<Vec<Permission>>| {
                role.as_ref().is_none_or(|role| allows(role, &needed))
            };
            let want = allows(&key.permissions, &needed) && of_role(&role);
            let has = allows(&held.permissions, &needed) && of_role(&held.role_permissions);
            assert_eq!(has, want, "{needed}: {held:?}");
        }
    }
}

fn permission(text: &str) -> Permission {
    Permission::parse(text).expect("a permission")
}

/// A guard's tables, and what it has written to KV.
#[derive(Default)]
struct Guard {
    records: BTreeMap<String, Record>,
    late: BTreeMap<String, u64>,
    latest: u64,
    kv: Option<KeyRecord>,
}

impl Guard {
    fn take(&mut self, record: &Record) {
        let (id, version) = (record.id().to_owned(), record.version());
        let known = self.records.get(&id);
        let at_hand = AtHand {
            version: known.map_or(0, Record::version),
            is_owned: matches!(known, Some(Record::Key(key)) if key.owner.is_some()),
            is_late: self.late.contains_key(&id),
        };
        if replaces(Some(at_hand.version), version) {
            if let Some(place) = place(record, at_hand, self.latest) {
                self.latest = self.latest.max(place);
                if at_hand.is_late || place > version {
                    self.late.insert(id.clone(), place);
                }
            }
            self.records.insert(id, record.clone());
        }
        if matches!(record, Record::Key(_)) {
            self.kv = self.key();
        }
    }

    fn placed(&self, id: &str, version: &mut u64) {
        if let Some(place) = self.late.get(id) {
            *version = *place;
        }
    }

    /// The key, as its owner binds it now.
    fn key(&self) -> Option<KeyRecord> {
        let Some(Record::Key(key)) = self.records.get("key_1") else {
            return None;
        };
        let mut key = key.clone();
        self.placed("key_1", &mut key.version);
        let mut owner = match key.owner.as_ref().and_then(|id| self.records.get(id)) {
            Some(Record::Member(owner)) => Some(owner.clone()),
            _ => None,
        };
        if let Some(owner) = &mut owner {
            self.placed(&owner.id, &mut owner.version);
        }
        let mut role = match owner.as_ref().and_then(|m| self.records.get(&m.role)) {
            Some(Record::Role(role)) => Some(role.clone()),
            _ => None,
        };
        if let Some(role) = &mut role {
            self.placed(&role.id, &mut role.version);
        }
        bind(&mut key, owner, role).then_some(key)
    }
}

/// A gate's record of the key.
#[derive(Default)]
struct Gate {
    held: Option<KeyRecord>,
}

impl Gate {
    fn forget_and_read_kv(&mut self, guard: &Guard) {
        self.held.clone_from(&guard.kv);
    }

    /// Asks for units until the guard has no newer record, as a gate does.
    fn ask(&mut self, guard: &Guard) {
        let now_bound = guard.key();
        for _ in 0..2 {
            let ask = KeyAsk {
                hash: KeyHash::of("the token"),
                version: self.held.as_ref().map_or(0, |key| key.version),
                want: 1,
                need: 1,
            };
            let mut ledger = Ledger::default();
            match answer(
                now_bound.as_ref(),
                &mut ledger,
                Shares::default(),
                &ask,
                0,
                1_000,
                1_000,
            ) {
                KeyAnswer::Stale { record } => {
                    assert!(record.version > ask.version, "gates keep the newer one");
                    self.held = Some(*record);
                }
                KeyAnswer::Unknown { .. } => return self.held = None,
                _ => return assert_eq!(self.held, now_bound, "it was called current"),
            }
        }
        panic!("the guard's own record is old to it");
    }
}
