use super::*;
use crate::permission::{Permission, effective};
use crate::token::KeyHash;

const ACCOUNT: &str = "acc_Ab3dE6gH";

fn permissions(texts: &[&str]) -> Vec<Permission> {
    let parsed = texts.iter().map(|text| Permission::parse(text).unwrap());
    parsed.collect()
}

fn key(version: u64, owner: Option<&str>) -> KeyRecord {
    let json = serde_json::json!({
        "id": "key_1", "version": version, "account": ACCOUNT, "owner": owner, "environment": "prod", "state": "active",
        "credentials": [{"hash": KeyHash::of("the token").to_hex()}], "permissions": ["customers.*", "agents.read"],
    });
    serde_json::from_value(json).unwrap()
}

fn member(version: u64, role: &str) -> MemberRecord {
    MemberRecord {
        id: "mem_1".into(),
        version,
        account: ACCOUNT.into(),
        ancestors: Vec::new(),
        role: role.into(),
        removed: false,
    }
}

fn role(version: u64, texts: &[&str]) -> RoleRecord {
    RoleRecord {
        id: "role_1".into(),
        version,
        account: ACCOUNT.into(),
        ancestors: Vec::new(),
        permissions: permissions(texts),
        deleted: false,
    }
}

/// A bound key: its version and what it may do; `None` where it can't be bound.
fn bound(
    key: &KeyRecord,
    owner: Option<MemberRecord>,
    role: Option<RoleRecord>,
) -> Option<(u64, String)> {
    let mut key = key.clone();
    let is_bound = bind(&mut key, owner, role);
    let may = effective(&key.permissions, key.role_permissions.as_deref());
    is_bound.then(|| (key.version, may.join(" ")))
}

#[test]
fn a_key_has_the_permissions_of_its_owners_role_at_most_and_the_version_of_the_last_change() {
    let own = key(5, Some("mem_1"));
    let of = |owner, role| bound(&own, owner, role);
    let both = |version, may: &str| Some((version, may.to_owned()));
    let custom = || Some(member(7, "role_1"));
    let reads = role(9, &["customers.read", "orders.*"]);
    assert_eq!(of(custom(), Some(reads.clone())), both(9, "customers.read"));
    assert_eq!(
        of(custom(), Some(role(6, &["*"]))),
        both(7, "customers.* agents.read")
    );
    assert_eq!(
        of(Some(member(2, "role_1")), Some(role(3, &[]))),
        both(5, "")
    );
    for name in ["owner", "admin", "developer"] {
        assert_eq!(
            of(Some(member(7, name)), None),
            both(7, "customers.* agents.read")
        );
    }
    // A role of that id makes no difference to a built-in one, nor does its version.
    assert_eq!(
        of(Some(member(7, "viewer")), Some(reads.clone())),
        both(7, "")
    );
    let gone = RoleRecord {
        deleted: true,
        ..reads
    };
    assert_eq!(of(custom(), Some(gone)), both(9, ""));
}

#[test]
fn a_key_without_an_owner_is_bound_by_none() {
    let free = key(5, None);
    for owner in [None, Some(member(7, "viewer"))] {
        let all = (5, "customers.* agents.read".to_owned());
        assert_eq!(bound(&free, owner, None), Some(all));
    }
}

#[test]
fn a_key_is_not_given_out_while_its_owner_or_the_owners_role_is_unknown() {
    let own = key(5, Some("mem_1"));
    assert_eq!(bound(&own, None, None), None);
    assert_eq!(bound(&own, None, Some(role(3, &["*"]))), None);
    assert_eq!(bound(&own, Some(member(7, "role_1")), None), None);
    assert_eq!(bound(&own, Some(member(7, "emperor")), None), None);
    let mut revoked = own;
    revoked.state = KeyState::Revoked;
    assert!(bind(&mut revoked, None, None), "its state is known");
    assert_eq!((revoked.version, revoked.state), (5, KeyState::Revoked));
}

#[test]
fn an_active_key_of_a_removed_owner_says_so_and_gets_no_units() {
    let gone = MemberRecord {
        removed: true,
        ..member(7, "owner")
    };
    let mut own = key(5, Some("mem_1"));
    assert!(bind(&mut own, Some(gone.clone()), None));
    assert_eq!((own.version, own.state), (7, KeyState::OwnerRemoved));
    let ask = KeyAsk {
        hash: KeyHash::of("the token"),
        version: 7,
        want: 1,
        need: 1,
    };
    let mut ledger = Ledger::default();
    let answered = answer(
        Some(&own),
        &mut ledger,
        Shares::default(),
        &ask,
        0,
        1_000,
        1_000,
    );
    assert_eq!(answered, KeyAnswer::Current { ttl: 1_000 });
    for state in [KeyState::Revoked, KeyState::Deleted] {
        let mut own = key(5, Some("mem_1"));
        own.state = state;
        assert!(bind(&mut own, Some(gone.clone()), None));
        assert_eq!(own.state, state, "why it was refused before");
    }
}

#[test]
fn records_stand_in_the_order_of_their_versions_and_one_that_was_overtaken_comes_last() {
    let at_hand = |version| AtHand {
        version,
        ..AtHand::default()
    };
    let role = |version| Record::Role(role(version, &[]));
    assert_eq!(place(&role(9), at_hand(4), 8), Some(9));
    assert_eq!(place(&role(8), at_hand(4), 8), Some(9));
    assert_eq!(place(&role(5), at_hand(4), 8), Some(9));
    assert_eq!(place(&role(5), at_hand(0), 8), Some(5), "the first");
    let most = MAX_VERSION;
    assert_eq!(place(&role(most), at_hand(4), most), Some(most));
    assert_eq!(
        place(&Record::Member(member(5, "x")), at_hand(4), 8),
        Some(9)
    );
}

#[test]
fn keys_take_part_while_they_have_an_owner_or_had_one() {
    let at_hand = AtHand {
        version: 4,
        ..AtHand::default()
    };
    let was_owned = AtHand {
        is_owned: true,
        ..at_hand
    };
    let was_late = AtHand {
        is_late: true,
        ..at_hand
    };
    let free = Record::Key(key(5, None));
    assert_eq!(place(&free, at_hand, 8), None);
    assert_eq!(place(&free, was_owned, 8), Some(9));
    assert_eq!(place(&free, was_late, 8), Some(9));
    assert_eq!(
        place(&Record::Key(key(5, Some("mem_1"))), at_hand, 8),
        Some(9)
    );
}
