//! What `forelog doctor` says of what a start takes besides the data. Where it finds a fault a server does not start, or nobody reaches
//! it; where it is content, a server starts with the same configuration.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::Value;

use crate::cli::{Server, command, shown, text};
use crate::local_admin::Data;

fn doctor(data: &Data, env: &[(&str, &str)]) -> (bool, String) {
    let output = command(&data.at(&["doctor"])).envs(env.iter().copied()).output().expect("running forelog");
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

/// A pair of a certificate that holds until a day of this year, and its key.
fn pair(dir: &Path, until: i32) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("names");
    (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(until, 1, 1));
    let certificate = params.self_signed(&key).expect("a certificate");
    let (chain, secret) = (dir.join(format!("{until}.pem")), dir.join(format!("{until}.key")));
    std::fs::write(&chain, certificate.pem()).expect("written");
    std::fs::write(&secret, key.serialize_pem()).expect("written");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("its owner's");
    (shown(&chain).to_owned(), shown(&secret).to_owned())
}

#[tokio::test]
async fn start_check_a_certificate_is_read_with_its_key_and_its_end() {
    let data = Data::new(None);
    let ((good, good_key), (old, old_key)) = (pair(data.path(), 2090), pair(data.path(), 2001));
    let check = |chain: &str, key: &str| doctor(&data, &[("FORELOG_TLS__CERTIFICATE", chain), ("FORELOG_TLS__KEY", key)]);
    let (ok, said) = check(&good, &good_key);
    assert!(ok && said.contains("ok  the certificate can be served"), "{said}");
    for (chain, key, why) in [
        (&*good, &*old_key, "cannot be used with its key"),
        (&old, &old_key, "expired on 2001-01-01T00:00:00Z"),
        ("/nowhere/chain.pem", &good_key, "/nowhere/chain.pem"),
        (&good_key, &good_key, "cannot be used"),
    ] {
        let (ok, said) = check(chain, key);
        assert!(!ok && said.contains("NOT the certificate can be served") && said.contains(why), "{why}: {said}");
    }
    let (ok, said) = doctor(&data, &[]);
    assert!(ok && said.contains("the certificate can be served: none is configured"), "{said}");
    let env = [("FORELOG_TLS__CERTIFICATE", good), ("FORELOG_TLS__KEY", good_key)];
    Server::start_in(&env, &data.at(&["serve"]), &data.path().join("serve.log")).await.stop().await;
}

#[test]
fn start_check_an_image_that_is_not_there_is_named() {
    let data = Data::new(None);
    let config = data.path().join("forelog.toml");
    std::fs::write(&config, "[providers.qemu]\nimage = \"/nowhere/image\"\n").expect("a configuration");
    let (ok, said) = doctor(&data, &[]);
    assert!(!ok && said.contains("NOT the providers can be opened") && said.contains("/nowhere/image has no vmlinuz"), "{said}");
    assert!(!data.path().join("qemu").exists(), "looking made a directory");
    let said = data.complaint(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(said.contains("/nowhere/image"), "{said}");
    std::fs::write(&config, "").expect("a configuration");
    let (ok, said) = doctor(&data, &[]);
    assert!(ok && said.contains("the providers can be opened: none is configured"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_check_the_address_is_free_or_this_datas_own() {
    let data = Data::new(None);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = taken.local_addr().expect("an address").to_string();
    let (ok, said) = doctor(&data, &[("FORELOG_LISTEN", &listen)]);
    assert!(!ok && said.contains("NOT the address can be listened at") && said.contains(&listen), "{said}");
    let said = data.complaint(&["serve", "--listen", &listen]);
    assert!(said.contains("listening at"), "{said}");
    drop(taken);
    let (ok, said) = doctor(&data, &[("FORELOG_LISTEN", &listen)]);
    assert!(ok && said.contains("ok  the address can be listened at"), "{said}");
    let server = Server::start(&data.at(&["serve"]), &data.path().join("serve.log")).await;
    let own = server.says("/base_url").replace("http://", "");
    let (ok, said) = doctor(&data, &[("FORELOG_LISTEN", &own)]);
    assert!(ok && said.contains(&format!("a server of this data runs at {own}")), "{said}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_check_says_who_may_act_what_was_tried_and_what_it_does_not_check() {
    let data = Data::new(None);
    let (ok, said) = doctor(&data, &[]);
    assert!(ok && said.contains("there is staff: nobody yet"), "{said}");
    assert!(said.contains("the switches were drilled: not known"), "{said}");
    data.answer(&["view", "rebuild"]);
    assert!(doctor(&data, &[]).1.contains("the switches were drilled: never"));
    let staff = data.answer(&["account", "create", "--name", "Staff", "--email", "s@example.com", "--staff"]);
    let key = data.answer(&["key", "create", "--account", staff["id"].as_str().expect("an id"), "--label", "drills"]);
    let drilled =
        command(&data.at(&["switch", "drill"])).env("FORELOG_API_KEY", key["api_key"].as_str().expect("a key")).output();
    let drilled = drilled.expect("running forelog");
    assert!(drilled.status.success(), "{}", text(&drilled.stderr));
    data.answer(&["view", "rebuild"]);
    let (ok, said) = doctor(&data, &[]);
    assert!(ok && said.contains("ok  there is staff\n"), "{said}");
    assert!(said.contains("the switches were drilled: last on 20") && said.contains("0 days ago"), "{said}");
    let (_, not_checked) = said.split_once("not checked:").expect("the end");
    for what in ["backup", "copy of the key file", "public_url", "issuers", "guests boot"] {
        assert!(not_checked.contains(what), "{what}: {said}");
    }
    let document = data.answer(&["doctor"]);
    assert_eq!(document["not_checked"].as_array().map(Vec::len), Some(5), "{document}");
    assert!(document["checks"].as_array().expect("checks").iter().all(|check| check["ok"] == Value::Bool(true)));
}
