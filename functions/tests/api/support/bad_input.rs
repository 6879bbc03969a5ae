//! Bad bodies, made from a good one. None may be answered with anything but its 4xx, or write anything.

use serde_json::{Value, json};

use super::service::Call;
use super::{Answer, Service};

/// A well-formed token of no session.
pub const UNKNOWN_TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Tries every kind of bad body at an operation.
///
/// `good` has the required fields, `optional` the others, and `bad_values` values that have the right type
/// and are refused all the same, each with the reason.
pub fn check<'a>(
    service: &'a Service,
    call: impl Fn() -> Call<'a>,
    good: &Value,
    optional: &Value,
    bad_values: &[(&str, Value, &str)],
) {
    let before = service.database.contents();
    let full = merged(good, optional);
    let refused = |reason: &str, body: &[u8], code: &str, fields: &[&str]| {
        let answer = call().header("Content-Type", "application/json").raw(body).send();
        assert_eq!((answer.status, answer.code()), (400, code), "{reason}: {}", answer.body);
        assert_eq!(answer.fields(), fields, "{reason}: {}", answer.body);
    };

    not_json(&full.to_string(), &refused);
    for (name, value) in full.as_object().unwrap() {
        let mut without = full.clone();
        without.as_object_mut().unwrap().remove(name);
        if good.get(name).is_some() {
            refused("missing", without.to_string().as_bytes(), "MISSING_FIELD", &[name]);
        }
        for other in [json!(null), json!([value]), json!({"a": value}), json!("x"), json!(7), json!(true)] {
            if json_type(&other) != json_type(value) {
                let body = merged(&full, &json!({name: other})).to_string();
                refused("wrong type", body.as_bytes(), "WRONG_TYPE", &[name]);
            }
        }
        let twice = full.to_string().replacen('{', &format!("{{{}:{value},", json!(name)), 1);
        refused("duplicate", twice.as_bytes(), "DUPLICATE_FIELD", &[name]);
        if value.is_string() {
            let body = full.to_string().replacen(&value.to_string(), r#""abc\ud83ddef""#, 1);
            refused("half a surrogate pair", body.as_bytes(), "INVALID_FIELD", &[name]);
        }
        if value.is_number() {
            for number in ["1.0", "1e1", "-1", "-0", "9007199254740992", "123456789012345678901234567890"] {
                let body = full.to_string().replacen(
                    &format!("{}:{value}", json!(name)),
                    &format!("{}:{number}", json!(name)),
                    1,
                );
                refused("no plain number", body.as_bytes(), "INVALID_FIELD", &[name]);
            }
        }
    }
    for (name, value, reason) in bad_values {
        let body = merged(&full, &json!({*name: value})).to_string();
        refused(reason, body.as_bytes(), "INVALID_FIELD", &[name]);
    }
    let unknown = merged(&full, &json!({"surprise": null}));
    refused("unknown", unknown.to_string().as_bytes(), "UNKNOWN_FIELD", &["surprise"]);
    let deep = full.to_string().replacen(
        '{',
        &format!("{{\"deep\":{}{},", "[".repeat(50_000), "]".repeat(50_000)),
        1,
    );
    refused("too deep", deep.as_bytes(), "UNKNOWN_FIELD", &["deep"]);
    let names: Vec<_> = good.as_object().unwrap().keys().map(String::as_str).collect();
    let answer = post(&call, b"{}");
    assert_eq!(
        (answer.code(), answer.fields().len()),
        ("MISSING_FIELD", names.len()),
        "all faults are told at once"
    );

    let answer = call().json(good.clone()).query("page=2").expect(400);
    assert_eq!((answer.code(), answer.fields()), ("UNKNOWN_PARAMETER", vec!["page"]));

    assert_eq!(service.database.contents(), before, "nothing is written");
}

/// Tries bodies of a wrong media type or size.
pub fn check_media_type_and_size<'a>(service: &'a Service, call: impl Fn() -> Call<'a>) {
    let before = service.database.contents();
    let too_large = "x".repeat(128 * 1024 + 1);
    for content_type in
        ["text/plain", "application/jsonx", "", "application/json,application/json", "application/json\0"]
    {
        let answer = call().header("Content-Type", content_type).raw(too_large.as_str()).expect(415);
        assert_eq!(
            (answer.code(), answer.fields()),
            ("UNSUPPORTED_MEDIA_TYPE", vec!["Content-Type"]),
            "{content_type}"
        );
    }
    assert_eq!(call().raw("{}").expect(415).code(), "UNSUPPORTED_MEDIA_TYPE", "without a content type");

    let sized = |body: Vec<u8>| call().header("Content-Type", "application/json").raw(body).send();
    let answer = sized(too_large.into());
    assert_eq!((answer.status, answer.code()), (413, "BODY_TOO_LARGE"));
    assert_eq!(sized(vec![0xff; 128 * 1024 + 1]).status, 413, "in base64 too");
    assert_eq!(sized(vec![b' '; 128 * 1024]).status, 400, "the limit itself is not too large");
    for encoding in ["gzip", "br", "identity, gzip", "", "identity\0"] {
        let answer = call().header("Content-Encoding", encoding).json(json!({})).expect(415);
        assert_eq!(
            (answer.code(), answer.fields()),
            ("UNSUPPORTED_MEDIA_TYPE", vec!["Content-Encoding"]),
            "{encoding}"
        );
        assert!(answer.body["detail"].as_str().unwrap().contains("Content-Encoding"));
    }
    assert_eq!(
        call().header("Content-Encoding", "Identity").json(json!({})).expect(400).code(),
        "MISSING_FIELD"
    );
    for content_type in [
        "APPLICATION/JSON",
        "application/json;charset=UTF-8",
        "application/json; charset=\"utf-8\"",
        "application/json; charset=utf-16",
        "application/json; any=\0 é",
    ] {
        assert_eq!(call().header("Content-Type", content_type).raw("{}").expect(400).code(), "MISSING_FIELD");
    }
    assert_eq!(service.database.contents(), before, "nothing is written");
}

/// Tries what is no session; `call` makes a request that is good but for its token.
pub fn check_session<'a>(call: impl Fn() -> Call<'a>) {
    let refused = |call: Call<'_>, reason: &str| {
        let answer = call.expect(401);
        assert_eq!((answer.code(), answer.fields()), ("INVALID_TOKEN", vec!["Authorization"]), "{reason}");
    };
    refused(call(), "missing");
    refused(call().token(UNKNOWN_TOKEN), "unknown");
    for (value, reason) in [
        ("", "empty"),
        ("Bearer", "no token"),
        ("Bearer ", "empty token"),
        ("Bearer   ", "spaces only"),
        ("Bearer\tAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "a tab"),
        ("Basic YWxpY2U6c2VjcmV0", "other scheme"),
        (UNKNOWN_TOKEN, "no scheme"),
        ("Bearer AAAA", "too short"),
        ("Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "padded"),
        ("Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB", "no base64url of 32 bytes"),
        ("Bearer  AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "two spaces, unknown"),
        ("Bearer ééééééééééééééééééééé", "not ASCII"),
        ("Bearer \r\n\0", "control characters"),
    ] {
        refused(call().header("Authorization", value), reason);
    }
    refused(call().token(UNKNOWN_TOKEN).token(UNKNOWN_TOKEN), "twice");
}

fn post<'a>(call: &impl Fn() -> Call<'a>, body: &[u8]) -> Answer {
    call().header("Content-Type", "application/json").raw(body).send()
}

fn not_json(good: &str, refused: &impl Fn(&str, &[u8], &str, &[&str])) {
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (body, reason) in [
        (&b""[..], "empty"),
        (b" ", "white space"),
        (b"hello", "a word"),
        (b"{", "cut off"),
        (b"{'a': 1}", "single quotes"),
        (b"{\"a\": 1,}", "trailing comma"),
        (b"{a: 1}", "name without quotes"),
        (b"{\"a\": NaN}", "NaN"),
        (b"{\"a\": 01}", "leading zero"),
        (b"{\"a\": \"\n\"}", "bare line end in a string"),
        (b"{\"a\": \"\\x\"}", "unknown escape"),
        (b"{\"\\ud800\": 1}", "half a surrogate pair in a name"),
        (b"[1, ", "cut off array"),
        (b"a=1&b=2", "a form"),
        (b"{\"a\": \"\xff\"}", "not UTF-8"),
        (b"{\"a\": \"\xed\xa0\x80\"}", "a surrogate in UTF-8"),
        (b"{\"a\": \"\xc0\x80\"}", "overlong UTF-8"),
        (&[b"\xef\xbb\xbf".as_slice(), good.as_bytes()].concat(), "byte order mark"),
        (&utf16, "UTF-16"),
        (&[good.as_bytes(), good.as_bytes()].concat(), "two objects"),
        (&[good.as_bytes(), b"\0"].concat(), "NUL behind the object"),
        ("[".repeat(60_000).as_bytes(), "deep and cut off"),
    ] {
        refused(reason, body, "INVALID_JSON", &[]);
    }
    for body in [
        "null",
        "true",
        "7",
        "\"text\"",
        "[]",
        &format!("[{good}]"),
        &format!("{}{}", "[".repeat(60_000), "]".repeat(60_000)),
    ] {
        refused("no object", body.as_bytes(), "WRONG_TYPE", &[]);
    }
}

fn merged(one: &Value, other: &Value) -> Value {
    let mut merged = one.clone();
    merged.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    merged
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Usernames that are none.
pub fn bad_usernames(field: &'static str) -> Vec<(&'static str, Value, &'static str)> {
    [
        ("", "empty"),
        ("ab", "too short"),
        (&*"x".repeat(65), "too long"),
        ("_abc", "begins with no letter or digit"),
        ("a b c", "space"),
        ("alice ", "trailing space"),
        ("alice\n", "line end"),
        ("ali\0ce", "NUL"),
        ("álice", "not ASCII"),
        ("ａｌｉｃｅ", "full width"),
        ("alice'; DROP TABLE users; --", "SQL"),
        ("%", "wildcard"),
    ]
    .map(|(name, reason)| (field, json!(name), reason))
    .to_vec()
}
