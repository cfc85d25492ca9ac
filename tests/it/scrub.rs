//! Scrubbing (P10): a secret that is planted in an output survives in no record of it, however the output is cut; scrubbing
//! twice is scrubbing once; and the work grows with the text.

mod forms;
mod ordinary;

use std::ops::Range;

use forelog::core::scrub::find::{Edges, secrets};
use forelog::core::scrub::{AROUND, MARK, Scrubbed, holds_token, scrub_piece, scrub_text};
use proptest::prelude::*;
use proptest::test_runner::TestRng;
use serde_json::json;

/// So many characters of a secret together are too many.
const TELLING: usize = 5;

/// Secrets as they are met: what stands before, the secret itself, what stands after.
fn planted() -> impl Strategy<Value = (String, String, String)> {
    let bare = |pattern: &'static str| secret("", pattern, "");
    prop_oneof![
        6 => forms::planted(),
        4 => prop_oneof![
            bare("flk_live_[A-Za-z0-9]{49}"), bare("gh[pousr]_[A-Za-z0-9]{36}"), bare("github_pat_[A-Za-z0-9_]{82}"),
            bare("glpat-[A-Za-z0-9_]{20}"), bare("npm_[A-Za-z0-9]{36}"), bare("pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{60}"),
            bare("[sr]k_(live|test)_[A-Za-z0-9]{24}"), bare("whsec_[A-Za-z0-9]{32}"), bare("xapp-1-A[A-Z0-9]{10}-[0-9]{13}-[a-f0-9]{64}"),
            bare("xox[bp]-[0-9]{12}-[A-Za-z0-9]{24}"), bare("ya29\\.[A-Za-z0-9_-]{60}"),
            bare("SG\\.[A-Za-z0-9_-]{22}\\.[A-Za-z0-9_-]{43}"), bare("(AKIA|ASIA)[A-Z2-7]{16}"), bare("AIza[A-Za-z0-9_]{35}"),
            bare("GOCSPX-[A-Za-z0-9_-]{28}"),
            bare("eyJ0eXAiOiJKV1Qi[A-Za-z0-9_-]{20}\\.eyJ[A-Za-z0-9_-]{40}\\.[A-Za-z0-9_-]{43}"),
            bare("hvs\\.[A-Za-z0-9_-]{90}"), bare("dop_v1_[a-f0-9]{64}"), bare("shpat_[a-f0-9]{32}"), bare("hf_[A-Za-z]{34}"),
            bare("sk-[A-Za-z0-9]{48}"), bare("sk-(proj|svcacct)-[A-Za-z0-9_-]{74}"), bare("sk-ant-api03-[A-Za-z0-9_-]{93}"),
            bare("AGE-SECRET-KEY-1[A-Z0-9]{58}"), bare("dckr_pat_[A-Za-z0-9_-]{27}"),
        ],
        2 => prop_oneof![
            secret("Authorization: Bearer ", "[A-Za-z0-9._~+/-]{12,40}", "\n"),
            secret("curl -H 'authorization: Basic ", "[A-Za-z0-9+/]{20,40}", "' http://x/"),
            secret("X-Api-Key: ", "[a-f0-9]{32}", "\r\n"),
            secret("mcp-session-id: ", "[a-z]{3}[0-9]{3}[A-Za-z0-9_-]{20}", "\n"),
            secret("Cookie: city=Z; forelog-session=", "[A-Za-z0-9_-]{43}", "\n"),
            secret("GET /console/welcome/", "[A-Za-z0-9_-]{43}", " HTTP/1.1"),
            secret("bearer ", "[A-Za-z0-9]{30}7", " "),
            secret("postgres://app:", "[A-Za-z0-9!*+-]{6,30}", "@db.example:5432/app"),
            secret("redis://:", "[A-Za-z0-9]{20}", "@cache/0"),
            secret("https://", "[a-z]{4}[0-9]{4}[A-Za-z0-9]{20}", "@git.example/x.git"),
            secret("DB_PASSWORD=", "[A-Za-z0-9!*+-]{6,20}", "\n"),
            secret("mysqldump --password '", "[A-Za-z0-9!*+]{6,20}", "' all"),
            secret("gh login --with-token ", "[a-z]{3}[0-9]{3}[A-Za-z0-9_]{20}", " -q"),
            secret("curl -sS -u ada:", "[A-Za-z0-9!*+]{6,20}", " http://x/"),
            secret("\"password\": \"", "[A-Za-z0-9 !*+-]{6,20}", "\","),
            secret("aws_secret_access_key = ", "[A-Za-z]{4}[0-9]{4}[A-Za-z0-9/+]{32}", "\n"),
            secret("AccountKey=", "[A-Za-z]{4}[0-9]{4}[A-Za-z0-9/+]{76}==", ";"),
            secret("{\"client_secret\":\"", "[a-z]{3}[0-9]{3}[A-Za-z0-9_-]{20}", "\"}"),
        ],
        1 => prop_oneof![key("private_key = \"-----BEGIN {}PRIVATE KEY-----", "-----END {}PRIVATE KEY-----\""), key("\"cookie\":\"-----BEGIN {}PRIVATE KEY-----", "-----END {}PRIVATE KEY-----\""), key("-----BEGIN {}PRIVATE KEY-----", "-----END {}PRIVATE KEY-----"), key("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----", "---- END SSH2 ENCRYPTED PRIVATE KEY ----"),
            key("-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1\n", "-----END PGP PRIVATE KEY BLOCK-----"), key("Private-Lines: 14", "Private-MAC: 00")],
    ]
}

fn secret(
    before: &'static str,
    pattern: &'static str,
    after: &'static str,
) -> impl Strategy<Value = (String, String, String)> + use<> {
    pattern.prop_map(move |secret: String| (before.to_owned(), secret, after.to_owned()))
}

fn key(begin: &'static str, end: &'static str) -> impl Strategy<Value = (String, String, String)> {
    ("(RSA |EC |OPENSSH |)", "([A-Za-z0-9+/]{64}\n){3,40}", any::<bool>()).prop_map(move |(label, body, escaped)| {
        let lines = |text: String| if escaped { text.replace('\n', "\\n") } else { text };
        (lines(format!("{}\n", begin.replace("{}", &label))), lines(body), end.replace("{}", &label))
    })
}

/// Text that holds no secret, in lines.
fn prose(longest: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec("[\u{e9}\u{6f22}!? ]{0,70}\n", 0..=longest).prop_map(|lines| lines.concat())
}

/// The part of `secret` that `record` tells, unless it stands around it anyway.
fn tells(record: &str, secret: &str, known: &str) -> Option<String> {
    let secret: Vec<char> = secret.chars().collect();
    let parts = secret.windows(TELLING).map(|part| part.iter().collect::<String>());
    parts.into_iter().find(|part| record.contains(part.as_str()) && !known.contains(part.as_str()))
}

fn piece(output: &[u8], piece: Range<usize>) -> String {
    let start = piece.start.saturating_sub(AROUND);
    let end = output.len().min(piece.end + AROUND);
    let window = output.get(start..end).expect("a window");
    scrub_piece(window, piece.start - start..piece.end - start, start > 0).as_str().to_owned()
}

fn assert_hidden(output: &str, cuts: impl Iterator<Item = Range<usize>>, secret: &str, known: &str) -> Result<(), TestCaseError> {
    for cut in cuts {
        let record = piece(output.as_bytes(), cut.clone());
        let told = tells(&record, secret, known);
        prop_assert!(told.is_none(), "{cut:?} of {output:?} is recorded as {record:?}, which tells {told:?}");
    }
    Ok(())
}

#[test]
fn redact_what_a_mark_stands_in_is_looked_at_again() {
    let text = "SET PASSWORD = PASSWORD('[client]\np|";
    let once = scrub_text(text);
    assert_eq!(scrub_text(&once), once, "of {text:?}");
}

proptest! {
    #[test]
    fn redact_no_page_of_any_size_tells_a_secret(
        before in prose(6), (start, secret, end) in prop_oneof![9 => planted(), 1 => forms::told_later()], after in prose(6), page in 1..400_usize,
    ) {
        let output = format!("{before}{start}{secret}{end}\n{after}");
        let pages = (0..output.len()).step_by(page).map(|at| at..output.len().min(at + page));
        assert_hidden(&output, pages, &secret, &format!("{before}{start} {end}{after}"))?;
    }

    #[test]
    fn redact_no_head_or_tail_tells_a_secret(
        before in prose(6), (start, secret, end) in prop_oneof![9 => planted(), 1 => forms::told_later()], after in prose(6), cut in any::<prop::sample::Index>(),
    ) {
        let output = format!("{before}{start}{secret}{end}\n{after}");
        let at = cut.index(output.len() + 1);
        assert_hidden(&output, [0..at, at..output.len()].into_iter(), &secret, &format!("{before}{start} {end}{after}"))?;
    }

    /// A page that is read while the command still writes.
    #[test]
    fn redact_an_output_that_is_not_all_there_yet_tells_nothing(
        before in prose(3), (start, secret, end) in planted(), there in any::<prop::sample::Index>(),
    ) {
        let output = format!("{before}{start}{secret}{end}\n");
        let length = before.len() + start.len() + there.index(secret.len() + 1);
        let sofar = output.as_bytes().get(..length).expect("the output so far");
        let record = scrub_piece(sofar, 0..length, false);
        // Before a form can be told, nothing of it is secret.
        let told = tells(record.as_str(), &secret, &format!("{start} {end}{}", &secret[..secret.floor_char_boundary(18)]));
        prop_assert!(told.is_none(), "{:?} is recorded as {record:?}", String::from_utf8_lossy(sofar));
    }

    #[test]
    fn redact_scrubbing_twice_is_scrubbing_once(parts in proptest::collection::vec(part(), 0..10)) {
        let once = scrub_text(&parts.concat());
        prop_assert_eq!(scrub_text(&once), once.as_str(), "of {:?}", parts.concat());
    }

    #[test]
    fn redact_every_planted_secret_is_gone_from_a_whole_text(before in prose(3), (start, secret, end) in planted(), after in prose(3)) {
        let clean = scrub_text(&format!("{before}{start}{secret}{end}\n{after}"));
        let told = tells(&clean, &secret, &format!("{before}{start} {end}{after}"));
        prop_assert!(told.is_none() && clean.contains(MARK), "{clean}");
        prop_assert!(clean.starts_with(&before) && clean.ends_with(&after), "{clean}");
        let document = json!({ "args": [{ "a": format!("{start}{secret}{end}") }], "list": [format!("{start}{secret}{end}")] });
        let clean = Scrubbed::of(document).document().to_string();
        let told = tells(&clean, &secret, &format!("{start} {end} args list"));
        prop_assert!(told.is_none(), "{clean}");
    }

    #[test]
    fn redact_work_grows_with_the_text(parts in proptest::collection::vec(part(), 1..6)) {
        let parts = parts.concat();
        prop_assume!(!parts.is_empty());
        let hostile = parts.repeat(8 * 1024 / parts.len() + 1);
        assert_bounded(&hostile);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn redact_far_from_its_ends_a_long_secret_is_hidden(filler in 0..AROUND, page in 1000..5000_usize, torn in any::<bool>()) {
        let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n".repeat(2 * AROUND / 65);
        let output = format!("{}-----BEGIN PRIVATE KEY-----\n{body}", ".\n".repeat(filler));
        let at = if torn { output.len() - page } else { output.len() / 2 };
        assert_hidden(&output, std::iter::once(at..at + page), &body[..65], "")?;
        let word = "x".repeat(3 * AROUND);
        let record = piece(word.as_bytes(), 2 * AROUND..2 * AROUND + page);
        prop_assert_eq!(record.as_str(), MARK);
    }
}

/// Parts of secrets, cut anywhere, what tells them, and text of any kind.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        (planted(), any::<prop::sample::Index>()).prop_map(|((start, secret, end), at)| {
            let whole = format!("{start}{secret}{end}");
            whole.chars().take(at.index(whole.chars().count() + 1)).collect()
        }),
        proptest::sample::select(TRIGGERS.to_vec()).prop_map(str::to_owned),
    ]
}

const TRIGGERS: &[&str] = &[
    "-",
    "----",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----",
    "-----END ",
    "-----BEGIN CERTIFICATE-----",
    "Private-Lines:",
    "Private-MAC:",
    "://",
    "://a:",
    "http://a:b/c",
    "@",
    "password=",
    "password:",
    "secret=",
    "token: ",
    "Authorization: ",
    "--password ",
    "-u a:",
    "curl -u ",
    "cookie=",
    "bearer ",
    "Bearer",
    "=",
    ":",
    "\\",
    "\"",
    "'",
    "$",
    "eyJ",
    "ghp_",
    "SG.",
    "sk-",
    "xoxb-",
    "[redacted token]",
    "[redacted",
    "password: |\n ",
    "password:\n  ",
    "<password>",
    "</",
    "<name>password</name>",
    "name=password value",
    "machine a ",
    "password ",
    "a:5432:b:c:",
    "$6$",
    "{SSHA}",
    "${A_PASSWORD:-",
    "identified by ",
    "set password =",
    "echo ",
    "mysql -p",
    "sudo -S <<< ",
    "sudo -S <<A\n",
    "<<",
    "nmcli ",
    "config set token ",
    "vault login ",
    "rabbitmqctl add_user ",
    "curl -su",
    "%3D",
    "password(\"",
    "PASSWORD=",
    "basic ",
    "`",
    "|",
    ">",
    "{",
    "}",
    "\n",
    " ",
    "a",
    "9",
    "\u{6f22}",
];

/// However hostile the text is, each byte is looked at a bounded number of times. Work is counted, not timed.
fn assert_bounded(text: &str) {
    for edges in [Edges::WHOLE, Edges { torn_start: true, open_end: true }] {
        let examined = secrets(text.as_bytes(), edges).examined;
        let each = examined / text.len() as u64;
        assert!(each <= 300, "each byte was looked at {each} times in {:?}…", text.chars().take(80).collect::<String>());
    }
}

#[test]
fn redact_a_mebibyte_of_any_trigger_is_bounded_work() {
    for one in TRIGGERS {
        assert_bounded(&one.repeat((1 << 16) / one.len()));
        for other in ["a", " ", "\n", "=", ":", "secret=", "://"] {
            let part = format!("{one}{other}");
            assert_bounded(&part.repeat((1 << 14) / part.len()));
        }
    }
    // What was quadratic in something would not end.
    for one in ["-", "://a:", "secret=", "-----BEGIN PRIVATE KEY-----x-----END "] {
        assert_bounded(&one.repeat((1 << 20) / one.len()));
    }
}

#[test]
fn redact_what_only_names_a_secret_stays() {
    for text in [
        "curl -H \"Authorization: Bearer $TOKEN\" https://example.org",
        "curl -H 'Authorization: Bearer {{ token }}' https://example.org",
        "psql postgres://app:$PASSWORD@db/app",
        "https://example.org:8080/@scope/name and ssh://git@example.org/x",
        "export DB_PASSWORD=\"$(cat /run/secrets/db)\"",
        "PASSWORD=<your password>",
        "password: required",
        "Enter password:",
        "use std::token::Token; let token: Token = Token::read(text);",
        "task-runner-deployment-5f7d9c and disk-performance-optimized-volumes",
        "docker run --user 1000:1000 -u app:app --password-stdin --secret id=x",
        "mysql --password -u root; curl -u \"$USER:$PASSWORD\" -u ada: x",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "the bearer of this letter",
        "key_id=17 cred_01JD3Z9N7Q6F2V5T8W4X1Y0ABC vm_01JD3Z9N7Q6F2V5T8W4X1Y0ABC",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "PWD=/root OLDPWD=/srv/app-1 PATH=/usr/local/bin:/usr/bin",
        "ENABLE MCP EXEC vm_01JD3Z9N7Q6F2V5T8W4X1Y0ABC",
        "flk_live_abc123",
    ] {
        assert_eq!(scrub_text(text), text);
    }
}

#[test]
fn redact_what_stands_beside_a_secret_stays() {
    let token = format!("ghs_{}", "a1B2".repeat(9));
    for (text, clean) in [
        (format!("GH={token}\nnext"), "GH=[redacted token]\nnext"),
        ("https://ada:hunter22@example.org/x?y".to_owned(), "https://ada:[redacted token]@example.org/x?y"),
        ("postgres://u:ab/cd@host/db".to_owned(), "postgres://u:[redacted token]@host/db"),
        ("curl -H 'Authorization: Bearer abc' -v".to_owned(), "curl -H 'Authorization: Bearer [redacted token]' -v"),
        (
            "{\\\"password\\\":\\\"hunter2!\\\",\\\"user\\\":1}".to_owned(),
            "{\\\"password\\\":\\\"[redacted token]\\\",\\\"user\\\":1}",
        ),
        ("Set-Cookie: a=1; Path=/\r\nServer: x".to_owned(), "Set-Cookie: [redacted token]\r\nServer: x"),
        ("mysql --password=hunter2 -e 'select 1'".to_owned(), "mysql --password=[redacted token] -e 'select 1'"),
    ] {
        assert_eq!(scrub_text(&text), clean);
    }
    assert!(holds_token(&token) && !holds_token("password=hunter22"));
}

/// A secret whose characters are random, for the tests of the whole server.
pub fn random(prefix: &str, length: usize, seed: u8) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    let mut rng = TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &[seed; 32]);
    let body = (0..length).map(|_| char::from(LETTERS[rng.next_u32() as usize % LETTERS.len()]));
    format!("{prefix}{}", body.collect::<String>())
}
