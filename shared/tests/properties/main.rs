//! Properties of everything that reads what strangers send, on generated inputs. `fuzz/` runs the same checks on inputs that
//! libFuzzer searches for.

mod checks;

use proptest::collection::vec;
use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..400)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_token_is_read_as_it_was_minted_and_refused_after_any_slip(bytes in bytes()) {
        checks::token(&bytes);
    }

    #[test]
    fn origins_are_what_browsers_send_and_patterns_admit_nothing_beside_them(bytes in bytes()) {
        checks::origin(&bytes);
    }

    #[test]
    fn routes_are_found_as_by_reading_the_table_slowly(bytes in bytes()) {
        checks::route(&bytes);
    }

    #[test]
    fn a_key_stands_whole_in_a_header_or_is_refused(bytes in bytes()) {
        checks::credential(&bytes);
    }

    #[test]
    fn records_read_back_and_a_wrong_member_spoils_no_other(bytes in bytes()) {
        checks::record(&bytes);
    }

    #[test]
    fn signed_messages_bear_no_change(bytes in bytes()) {
        checks::push(&bytes);
    }

    #[test]
    fn a_path_that_is_admitted_is_the_same_path_to_every_server(bytes in bytes()) {
        checks::path(&bytes);
    }

    #[test]
    fn wildcard_hosts_match_what_is_below_them_only_and_every_pattern_matches_something(bytes in bytes()) {
        checks::host(&bytes);
    }

    #[test]
    fn ip_ranges_hold_the_addresses_that_share_their_bits(bytes in bytes()) {
        checks::ip(&bytes);
    }

    #[test]
    fn a_key_does_what_it_and_its_role_both_allow(bytes in bytes()) {
        checks::permission(&bytes);
    }

    #[test]
    fn a_record_that_a_guard_calls_current_is_the_key_as_its_owner_binds_it_now(bytes in bytes()) {
        checks::owner(&bytes);
    }
}
