use super::*;

const TAG: &str = "a tag secret for tests";
const PUSH: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn args(more: &[&str]) -> ServeArgs {
    let mut all = vec!["keyward", "serve"];
    for (name, value) in [("--tag-secret", TAG), ("--push-secret", PUSH)] {
        if !more.contains(&name) {
            all.extend([name, value]);
        }
    }
    all.extend(more);
    match Cli::try_parse_from(all).unwrap().command {
        Command::Serve(args) => *args,
        other => panic!("{other:?}"),
    }
}

fn refusal(more: &[&str]) -> String {
    format!("{:#}", args(more).check().unwrap_err())
}

#[test]
fn a_public_address_needs_a_proxy() {
    assert!(refusal(&["--listen", "0.0.0.0:8700"]).contains("--behind-proxy"));
    assert!(refusal(&["--listen", "[::]:8700"]).contains("--behind-proxy"));
    assert!(
        args(&["--listen", "0.0.0.0:8700", "--behind-proxy"])
            .check()
            .is_ok()
    );
    assert!(args(&["--listen", "[::1]:8700"]).check().is_ok());
}

#[test]
fn targets_are_told_apart_and_cleaned() {
    let given = " http://127.0.0.1:8701/,,https://edge.example.com,http://127.0.0.1:8701";
    let config = args(&["--edge-targets", given]).check().unwrap();
    assert_eq!(
        config.sync.targets,
        ["http://127.0.0.1:8701", "https://edge.example.com"]
    );
    for bad in [
        "edge",
        "ftp://e",
        "https://u:p@e",
        "https://e?q",
        "https://e#f",
    ] {
        let message = refusal(&["--edge-targets", bad]);
        assert!(message.contains("KEYWARD_EDGE_TARGETS"), "{message}");
    }
}

#[test]
fn messages_and_debug_output_do_not_repeat_secrets() {
    let bad = "kwa_thisistoosecret";
    let parsed = args(&["--admin-token", bad]);
    assert!(!format!("{parsed:?}").contains(bad));
    assert!(!format!("{parsed:?}").contains(TAG));
    let message = refusal(&["--admin-token", bad]);
    assert!(message.contains("KEYWARD_ADMIN_TOKEN") && !message.contains(bad));
    let message = refusal(&["--push-secret", "whsec_!"]);
    assert!(message.contains("KEYWARD_PUSH_SECRET") && !message.contains("whsec_!"));
    let config = format!("{:?}", args(&[]).check().unwrap());
    assert!(!config.contains(TAG) && !config.contains(PUSH));
}

#[test]
fn an_empty_secret_is_a_missing_one() {
    assert_eq!(
        refusal(&["--tag-secret", ""]),
        "KEYWARD_TAG_SECRET is not set"
    );
    assert!(
        args(&["--admin-token", ""])
            .check()
            .unwrap()
            .admin_token
            .is_none()
    );
}
