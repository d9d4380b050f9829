use clap::CommandFactory;

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
        Command::Operate(Operation::Serve(args)) => *args,
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

/// Every option of a command but those that clap adds.
fn options(command: &str) -> Vec<clap::Arg> {
    let mut cli = Cli::command();
    cli.build();
    let command = cli.find_subcommand(command).unwrap();
    let options = command.get_arguments();
    let own = options.filter(|o| !matches!(o.get_id().as_str(), "help" | "version"));
    own.cloned().collect()
}

#[test]
fn every_option_of_serve_has_a_name_in_the_environment_a_heading_and_a_sentence() {
    for command in ["serve", "check-config"] {
        let options = options(command);
        assert!(options.len() > 20, "{}", options.len());
        for option in options {
            let name = option.get_long().unwrap();
            let env = option.get_env().unwrap_or_default().to_string_lossy();
            let own = format!("KEYWARD_{}", name.replace('-', "_").to_uppercase());
            assert!(
                env == own || env == "OTEL_EXPORTER_OTLP_ENDPOINT",
                "{name}: {env}"
            );
            assert!(option.get_help_heading().is_some(), "{name}");
            let help = option.get_help().unwrap_or_default().to_string();
            assert!(help.len() > 20, "{name}: {help}");
            let is_secret = ["secret", "token"].iter().any(|end| name.ends_with(end));
            assert!(!is_secret || option.is_hide_env_values_set(), "{name}");
        }
    }
}

#[test]
fn traces_are_sent_to_the_collectors_path() {
    let url = |given: &str| args(&["--otlp-endpoint", given]).traces();
    for (given, expected) in [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        (
            "https://c.example/otlp/",
            "https://c.example/otlp/v1/traces",
        ),
    ] {
        assert_eq!(url(given).unwrap().unwrap().as_str(), expected);
    }
    assert_eq!(url("").unwrap(), None);
    let message = format!("{:#}", url("grpc://user:passw0rd@h").unwrap_err());
    assert!(message.contains("OTEL_EXPORTER_OTLP_ENDPOINT") && !message.contains("passw0rd"));
}
