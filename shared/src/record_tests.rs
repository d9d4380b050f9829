use super::*;

#[test]
fn fields_and_states_of_the_future_are_tolerated_and_read_as_the_safest() {
    let json = format!(
        r#"{{"kind":"key","id":"key_1","version":3,"account":"acc_a","environment":"prod","state":"quarantined",
           "credentials":[{{"hash":"{}","colour":"red"}}],"enforcement":"quantum","novelty":{{"a":1}}}}"#,
        "ab".repeat(32)
    );
    let Record::Key(key) = serde_json::from_str(&json).unwrap() else {
        panic!("not a key");
    };
    assert_eq!(key.state, KeyState::Deleted);
    assert_eq!(key.enforcement, Enforcement::Strict);
    assert!(key.permissions.is_empty());
    let json = r#"{"kind":"api","id":"api_1","version":1,"account":"acc_a","name":"A","endpoints":[],
        "upstream":"http://u","unlisted":"maybe","onGuardFailure":"shrug"}"#;
    let Record::Api(api) = serde_json::from_str(json).unwrap() else {
        panic!("not an api");
    };
    assert_eq!(api.unlisted, Unlisted::Closed);
    assert_eq!(api.on_guard_failure, OnGuardFailure::Refuse);
}

#[test]
fn records_that_can_not_be_kept_are_told_by_what_is_wrong() {
    let account = |id: &str, version, ancestors: &[&str]| {
        Record::Account(AccountRecord {
            id: id.into(),
            version,
            ancestors: ancestors.iter().map(|a| (*a).to_owned()).collect(),
            deleted: false,
            requests_per_month: None,
        })
        .check()
    };
    let id = "acc_Ab3dE6gH";
    assert_eq!(account(id, 1, &["acc_root0000"]), Ok(()));
    assert_eq!(account(id, MAX_VERSION, &[]), Ok(()));
    for bad in ["", "acc_Ab3dE6g/", &"a".repeat(65)] {
        assert_eq!(account(bad, 1, &[]), Err(RecordError::Id), "{bad}");
    }
    for bad in [0, MAX_VERSION + 1, u64::MAX] {
        assert_eq!(account(id, bad, &[]), Err(RecordError::Version), "{bad}");
    }
    assert_eq!(account("acc_1", 1, &[]), Err(RecordError::Account));
    assert_eq!(account(id, 1, &["key_1"]), Err(RecordError::Account));
    let deep = ["acc_root0000"; MAX_DEPTH];
    assert_eq!(account(id, 1, &deep), Err(RecordError::Account));
}
