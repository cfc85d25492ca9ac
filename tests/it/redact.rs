//! Redaction: a canary planted anywhere that no class covers never survives, and no text makes it panic (P10).

use forelog::core::redact::{Classes, Sensitivity, public_text, redact, scrub_text};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// No public, personal or content value in these tests contains it.
const CANARY: &str = "canary";
const CANARY_NUMBER: u64 = 424_242_424_242;

fn classes() -> Classes {
    use Sensitivity::{Content, Pii, Public, Secret};
    let listed = [
        ("name", Public),
        ("owner", Pii),
        ("script", Content),
        ("password", Secret),
        ("disk.size", Public),
        ("disk.key", Secret),
        ("tags.*", Public),
        ("rules.*.port", Public),
        ("rules.*.token", Secret),
    ];
    listed.into_iter().map(|(path, class)| (path.to_owned(), class)).collect()
}

fn gone(value: &Value) -> bool {
    let text = value.to_string();
    !text.contains(CANARY) && !text.contains(&CANARY_NUMBER.to_string())
}

/// Keys that nothing lists, among them listed ones that are somewhere else and ones that look like paths.
fn unlisted_key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("canary".to_owned()),
        Just("disk.size".to_owned()),
        Just("rules.*.port".to_owned()),
        Just("tags.*".to_owned()),
        Just("tags.a".to_owned()),
        Just("*".to_owned()),
        Just(String::new()),
        Just(".".to_owned()),
        Just("$redacted".to_owned()),
        Just("name.".to_owned()),
        "[a-z.*\u{e9}\u{6f22}]{0,6}canary",
    ]
}

/// Any JSON, every scalar of it a canary.
fn canaries() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<String>().prop_map(|text| json!(format!("{text}{CANARY}{text}"))),
        Just(json!(CANARY_NUMBER)),
        Just(json!(-1.5 * 424_242.0)),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    scalar.prop_recursive(4, 40, 5, |inner| {
        let key = prop_oneof![unlisted_key(), Just("name".to_owned()), Just("size".to_owned()), Just("port".to_owned())];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((key, inner), 0..5).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn test_node(fields: &mut Map<String, Value>, planted: &[(String, Value)]) {
    fields.extend(planted.iter().cloned());
}

/// Arguments with listed values that may be kept, and canaries wherever nothing is listed.
fn arguments(planted: &[(String, Value)], secret: &Value) -> Value {
    let mut arguments = json!({
        "name": "web", "owner": "Ada", "script": "ls", "password": secret,
        "disk": { "size": 20, "key": secret },
        "tags": ["blue"],
        "rules": [{ "port": 80, "token": secret }],
    });
    for place in ["", "/disk", "/rules/0"] {
        if let Some(fields) = arguments.pointer_mut(place).and_then(Value::as_object_mut) {
            test_node(fields, planted);
        }
    }
    arguments
}

proptest! {
    #[test]
    fn what_no_class_covers_never_survives(
        planted in proptest::collection::vec((unlisted_key(), canaries()), 0..4), secret in canaries(),
    ) {
        let redacted = redact(&arguments(&planted, &secret), &classes());
        prop_assert!(gone(&redacted), "{redacted}");
        for (path, kept) in [
            ("/name", json!("web")), ("/owner", json!("Ada")), ("/script", json!("ls")), ("/disk/size", json!(20)),
            ("/tags/0", json!("blue")), ("/rules/0/port", json!(80)),
        ] {
            prop_assert_eq!(redacted.pointer(path), Some(&kept), "{}", path);
        }
    }

    #[test]
    fn a_value_in_the_place_of_an_object_never_survives(value in canaries()) {
        for place in ["disk", "rules"] {
            let redacted = redact(&json!({ place: [value.clone(), [value.clone()]] }), &classes());
            prop_assert!(gone(&redacted) || value.pointer("/port").is_some(), "{redacted}");
        }
        let redacted = redact(&value, &Classes::new());
        prop_assert!(gone(&redacted), "{redacted}");
    }

    #[test]
    fn a_secret_leaves_nothing_to_measure(one in canaries(), other in canaries()) {
        let with = |secret: &Value| redact(&json!({ "password": secret, "unlisted": secret }), &classes());
        prop_assert_eq!(with(&one), with(&other));
    }

    #[test]
    fn search_sees_only_what_is_public(
        planted in proptest::collection::vec((unlisted_key(), canaries()), 0..4), secret in canaries(),
    ) {
        let text = public_text(&arguments(&planted, &secret), &classes());
        let mut words: Vec<_> = text.split(' ').collect();
        words.sort_unstable();
        prop_assert_eq!(words, ["disk.size=20", "name=web", "rules.*.port=80", "tags.*=blue"]);
    }

    #[test]
    fn a_token_in_a_text_never_survives(before in around(), token in token(), after in around()) {
        let clean = scrub_text(&format!("{before} {token} {after}"));
        prop_assert!(!clean.contains(token.as_str()), "{clean}");
        prop_assert_eq!(clean, format!("{before} [redacted token] {after}"));
    }

    #[test]
    fn a_token_is_scrubbed_wherever_content_hides_it(token in token(), text in around()) {
        let script = json!({ "env": { token.clone(): [format!("{text}{token}")] } });
        let redacted = redact(&json!({ "script": script }), &classes());
        prop_assert!(!redacted.to_string().contains(token.as_str()), "{redacted}");
    }

    #[test]
    fn a_private_key_never_survives(
        before in around(), label in "(RSA |EC |OPENSSH |ENCRYPTED |)", lines in proptest::collection::vec("[A-Za-z0-9+/]{64}", 1..5),
        glued in prop_oneof![Just(String::new()), token()], ended in any::<bool>(),
    ) {
        let body = lines.join("\n");
        let end = if ended { format!("\n-----END {label}PRIVATE KEY-----\nafter") } else { String::new() };
        let clean = scrub_text(&format!("{before}{glued}-----BEGIN {label}PRIVATE KEY-----\n{body}{end}"));
        prop_assert!(lines.iter().all(|line| !clean.contains(line.as_str())), "{clean}");
        prop_assert_eq!(clean.ends_with("\nafter"), ended);
    }

    #[test]
    fn no_text_panics_and_what_is_no_token_stays(pieces in proptest::collection::vec(piece(), 0..12)) {
        let text = pieces.concat();
        let clean = scrub_text(&text);
        prop_assert!(clean == text || clean.contains("[redacted token]"));
    }

    #[test]
    fn ordinary_text_stays(text in "\\PC{0,80}") {
        prop_assume!(!["sk-", "AKIA", "ASIA", "AIza", "eyJ", "hvs.", "gh", "gl", "xox", "flk", "dop", "-----BEGIN"].iter().any(|start| text.contains(start)));
        prop_assert_eq!(scrub_text(&text), text);
    }
}

/// Text in several scripts that is no token, whatever is beside it.
fn around() -> impl Strategy<Value = String> {
    "[\u{e9}\u{6f22}\u{5b57}\u{1f600}\u{200d} \n:;,]{0,12}"
}

fn token() -> impl Strategy<Value = String> {
    prop_oneof![
        "flk_live_[A-Za-z0-9]{49}",
        "sk-[A-Za-z0-9]{20,60}",
        "sk_live_[A-Za-z0-9]{24}",
        "gh[po]_[A-Za-z0-9]{36}",
        "github_pat_[A-Za-z0-9_]{82}",
        "glpat-[A-Za-z0-9]{20}",
        "xox[bp]-[0-9]{12}-[A-Za-z0-9]{24}",
        "(AKIA|ASIA)[A-Z0-9]{16}",
        "AIza[A-Za-z0-9_]{35}",
        "eyJhbGciOi[A-Za-z0-9_]{20}\\.[A-Za-z0-9_]{20}\\.[A-Za-z0-9_]{20}",
        "hvs\\.[A-Za-z0-9]{24}",
        "dop_v1_[a-f0-9]{64}",
    ]
}

/// Parts of tokens and of key blocks, cut anywhere, between texts of any kind.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        (token(), 0..40_usize).prop_map(|(token, length)| token.chars().take(length).collect()),
        ("-----(BEGIN|END) (RSA |)(PRIVATE KEY|CERTIFICATE)-----\n?", 0..40_usize)
            .prop_map(|(line, length)| line.chars().take(length).collect()),
        Just("\u{6f22}".to_owned()),
        Just("\n".to_owned()),
    ]
}

#[test]
fn a_certificate_is_no_secret() {
    let text = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    assert_eq!(scrub_text(text), text);
}

#[test]
fn unlisted_fields_leave_one_mark() {
    let redacted = redact(&json!({ "name": "web", "a": 1, "b": { "c": [2, 3] }, "disk": { "x": 1 } }), &classes());
    assert_eq!(redacted, json!({ "name": "web", "$redacted": "secret", "disk": { "$redacted": "secret" } }));
}
