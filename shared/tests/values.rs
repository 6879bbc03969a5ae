//! What clients send is read exactly as documented: nothing else is taken, and nothing makes a reader panic.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use shared::Bounded;
use shared::message::{IdempotencyKey, Text};
use shared::password::Password;
use shared::session::{Device, SessionId};
use shared::token::Token;
use shared::user::Username;
use unicode_normalization::UnicodeNormalization;

/// 2⁵³ − 1.
const MAX: i64 = 9_007_199_254_740_991;

/// Texts of any kind, and such as some reader takes, or would but for a character or two.
fn texts() -> impl Strategy<Value = String> {
    let edges = [0, 1, 2, 3, 7, 8, 43, 64, 65, 128, 129, 255, 256, 4096, 4097, 16_384, 16_385];
    let alike = (select(&["x", "7", "~", "é", "🎉", "\0"][..]), select(edges.to_vec()));
    prop_oneof![
        vec(any::<char>(), 0..70).prop_map(String::from_iter),
        "[a-zA-Z0-9._@+-]{0,70}",
        ("[a-z0-9]{0,40}", any::<char>(), "[a-z0-9]{0,40}")
            .prop_map(|(before, odd, after)| format!("{before}{odd}{after}")),
        "[!-~]{0,300}",
        alike.prop_map(|(character, length)| character.repeat(length)),
    ]
}

/// Numbers around the bounds of the parameters and of integers, some not plainly written.
fn numbers() -> impl Strategy<Value = String> {
    let number = prop_oneof![0..=300_i64, MAX - 1..=MAX + 1, any::<i64>()];
    let plain = number.prop_map(|number| number.to_string());
    let odd =
        (select(&["+", "-", " ", "0", "0x"][..]), plain.clone(), select(&["", " ", ".0", "e1", "\n"][..]));
    prop_oneof![plain, odd.prop_map(|(before, number, after)| format!("{before}{number}{after}"))]
}

proptest! {
    #[test]
    fn a_username_is_3_to_64_of_its_characters_and_begins_with_a_letter_or_a_digit(text in texts()) {
        let alphanumeric = |character| matches!(character, 'a'..='z' | 'A'..='Z' | '0'..='9');
        let good = (3..=64).contains(&text.chars().count())
            && text.chars().all(|character| alphanumeric(character) || "._-@+".contains(character))
            && text.starts_with(alphanumeric);
        let username = text.parse::<Username>().ok();
        prop_assert_eq!(username.as_ref().map(Username::as_str), good.then_some(text.as_str()));
    }

    #[test]
    fn a_password_has_8_to_128_code_points(text in texts()) {
        let good = (8..=128).contains(&text.nfc().count());
        prop_assert_eq!(text.parse::<Password>().is_ok(), good);
    }

    #[test]
    fn a_password_with_the_username_in_it_in_any_case_is_weak(
        name in "[a-zA-Z0-9][a-zA-Z0-9._@+-]{3,20}", before in texts(), upper: bool, after in texts()
    ) {
        let inside = if upper { name.to_uppercase() } else { name.to_lowercase() };
        let text = format!("{before}{inside}{after}");
        // An accent behind the name makes another letter of its last.
        prop_assume!(text.nfc().collect::<String>().to_lowercase().contains(&name.to_lowercase()));
        if let Ok(password) = text.parse::<Password>() {
            prop_assert!(password.check_strength(&name.parse().unwrap()).is_err());
        }
    }

    #[test]
    fn a_device_has_1_to_64_code_points_and_no_control_characters(text in texts()) {
        let good = (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        prop_assert_eq!(text.parse::<Device>().is_ok(), good);
    }

    #[test]
    fn a_session_is_named_by_64_hexadecimal_digits_in_lower_case(text in prop_oneof![texts(), "[0-9a-fA-F]{63,65}"]) {
        let good = text.len() == 64 && text.chars().all(|character| "0123456789abcdef".contains(character));
        prop_assert_eq!(text.parse::<SessionId>().is_ok(), good);
    }

    #[test]
    fn a_message_has_1_to_16384_bytes(text in texts()) {
        prop_assert_eq!(text.parse::<Text>().is_ok(), (1..=16_384).contains(&text.len()));
    }

    #[test]
    fn an_idempotency_key_has_1_to_255_visible_ascii_characters(text in texts()) {
        let good = (1..=255).contains(&text.len()) && text.chars().all(|character| ('!'..='~').contains(&character));
        prop_assert_eq!(text.parse::<IdempotencyKey>().is_ok(), good);
    }

    #[test]
    fn every_token_can_be_written_in_one_way_only(
        bytes: [u8; 32], text in prop_oneof![texts(), "[A-Za-z0-9_-]{42,44}=?"]
    ) {
        let written = BASE64_URL_SAFE_NO_PAD.encode(bytes);
        prop_assert_eq!(written.parse::<Token>().unwrap().reveal(), written);
        if let Ok(token) = text.parse::<Token>() {
            prop_assert_eq!(token.reveal(), text);
        }
    }

    #[test]
    fn a_number_is_plain_digits_within_its_bounds(text in prop_oneof![numbers(), texts()]) {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<i128>().ok().filter(|_| digits);
        let limit = text.parse::<Bounded<1, 200>>().ok().map(|limit| limit.get().into());
        prop_assert_eq!(limit, number.filter(|number| (1..=200).contains(number)));
        let id = text.parse::<Bounded<0, MAX>>().ok().map(|id| id.get().into());
        prop_assert_eq!(id, number.filter(|number| (0..=MAX.into()).contains(number)));
    }
}
