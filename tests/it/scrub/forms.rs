//! Places in which secrets are met: commands, files, documents, statements, addresses. Each is tried whole, cut anywhere and
//! with a mark beside the secret, which must not let it through.

use forelog::core::scrub::{MARK, Scrubbed, scrub_text};
use proptest::prelude::*;
use serde_json::json;

/// Texts with a secret at `§`.
pub const FORMS: &[&str] = &[
    // Options of commands.
    "curl --user=ada:§ http://x/",
    "curl --user ada:§ http://x/",
    "curl -u ada:§ http://x/",
    "curl -uada:§ http://x/",
    "curl -su ada:§ http://x/",
    "curl -sSfLu ada:§ http://x/",
    "curl -sSuada:§ http://x/",
    "curl -u 'ada:§' http://x/",
    "curl -H \"Accept: a; b\" -X POST 'http://x/?a=1&b=2' \\\n  -u \"ada:§\" \\\n  -v",
    "curl -u $WHO:§ http://x/",
    "curl --proxy-user ada:§ http://x/",
    "curl --proxy-user=ada:§ http://x/",
    "curl -x proxy:1 -U ada:§ http://x/",
    "curl --oauth2-bearer=§ http://x/",
    "curl -b sid=§ http://x/",
    "curl --cookie 'sid=§' http://x/",
    "curl --tlspassword § http://x/",
    "http -a ada:§ GET x",
    "https --auth=ada:§ GET x",
    "wget --password=§ --user=ada ftp://x/",
    "wget --http-password § http://x/",
    "mysql -uroot -p§ -e 'select 1'",
    "mysql -u root -p'§' db",
    "mysql -u root -p\"§\" db",
    "mysqldump --password § all",
    "mysqladmin --password=§ ping",
    "/usr/bin/mariadb -hlocalhost -p§",
    "sudo mysql -Bsp§ db",
    "sshpass -p § ssh root@h",
    "sshpass -p'§' ssh root@h",
    "sshpass -p§ ssh -p 22 root@h",
    "redis-cli -h h -a § ping",
    "redis-cli --pass § ping",
    "mongosh -u ada -p § h/db",
    "docker login -u ada -p § registry.example",
    "podman login --password=§ registry.example",
    "oc login -p § https://h",
    "sqlcmd -S h -U sa -P § -Q x",
    "ldapsearch -x -D cn=admin -w § -b dc=x",
    "smbclient //h/share -U ada%§",
    "ipmitool -I lanplus -H h -U ada -P § power on",
    "zip -P § a.zip b",
    "7z x -p§ a.7z",
    "mosquitto_pub -u ada -P § -t a",
    "lftp -u ada,§ sftp://h",
    "snmpwalk -v2c -c § h",
    "keytool -list -storepass § -keystore a.jks",
    "openssl rsa -passin pass:§ -in a",
    "gpg --batch --passphrase § -d a",
    "java -Djavax.net.ssl.keyStorePassword=§ -jar a.jar",
    "[\"--password\", \"§\"]",
    "aws configure set aws_secret_access_key §",
    "aws configure set profile.prod.aws_session_token '§'",
    "redis-cli -h h config set requirepass §",
    "npm config set //registry.example/:_authToken §",
    "nmcli dev wifi connect home password §",
    "nmcli con modify home wifi-sec.psk \"§\"",
    "vault login §",
    "vault login -no-store '§'",
    "wpa_passphrase home §",
    "rabbitmqctl add_user ada §",
    "htpasswd -b /etc/h ada §",
    "mc alias set here https://h ada §",
    "sudo -S <<< '§'",
    "sudo -S ls <<<§",
    "sudo -kS ls <<END\n§\nEND",
    "SECRET_KEY_BASE=§ rails s",
    // The environment and the shell.
    "PGPASSWORD=§ psql -h h",
    "export PGPASS=§",
    "DB_PWD=§",
    "MYSQL_PWD=§ mysql",
    "PASSWORD2=§",
    "SECRET_KEY_1=§",
    "API_TOKEN_2=§",
    "2FA_SECRET=§",
    "DB_PASSWORD_PROD=§",
    "dbPwd = \"§\"",
    "adminPass: '§'",
    "export FOO_TOKEN='§ with spaces'",
    "export FOO_TOKEN=\"it is § with spaces\"",
    "export FOO_SECRET='it'\"'\"'s § there'",
    "PASSWORD=a\\ b\\ §",
    "PASSWORD=$'§\\n'",
    "PASSWORD=a(§),b",
    "PASSWORD=$9§",
    "P=\"${X_PASSWORD:-§}\"",
    "${X_PASSWORD:=§}",
    "${DB_PASS-§}",
    "${X_PASSWORD:-${OTHER:-§}}",
    "set PASSWORD=§",
    "docker run -e DB_PASSWORD=§ -p 8080:80 image",
    "env: [\"DB_PASSWORD=§\"]",
    // Documents.
    "<password>§</password>",
    "<db:Password type=\"x\">§</db:Password>",
    "<password>\n  §\n</password>",
    "<Password><![CDATA[§]]></Password>",
    "<entry key=\"db.password\">§</entry>",
    "<property name=\"password\" value=\"§\"/>",
    "<add key=\"DbPassword\" value=\"§\" />",
    "<input type=\"password\" name=\"p\" value=\"§\">",
    "<key>password</key>\n<string>§</string>",
    "<name>db.password</name><value>§</value>",
    "<user name=\"a\" password=\"§\"/>",
    "<user password='§'/>",
    "password:\n  §\nuser: a",
    "db:\n  password:\n    \"§\"\n  user: a",
    "password: |\n  §\n  second\nuser: a",
    "- password: >-\n    §\n- a",
    "a:\n  client_secret: |+\n    §\n\n    more\n  b: c",
    "password: !!str §",
    "password: &p §",
    "  - name: DB_PASSWORD\n    value: §\n  - name: B\n    value: c",
    "{\"name\":\"DB_PASSWORD\",\"value\":\"§\"}",
    "{\"Key\": \"ApiToken\", \"Value\": \"§\"}",
    "{\"password\":\"a\\\"§\"}",
    "{\"password\":\"a\\\\\\\"§\",\"user\":1}",
    "{\\\"password\\\":\\\"a\\\\\\\"§\\\",\\\"user\\\":1}",
    "{\\\\\\\"password\\\\\\\":\\\\\\\"§\\\\\\\"}",
    "{\"password\":[\"§\"]}",
    "{\"user\":\"a\",\"password\":\"a\\nb§\"}",
    "password = \"\"\"\n§\n\"\"\"",
    "password = '''§'''",
    "db.password        = §",
    "[client]\npassword = a word § of it\nuser = a",
    "password=§",
    "client-key-data: §",
    "    token: §",
    "\"auth\": \"YWRhOjEyMzQ§\"",
    "_authToken=§",
    "//registry.example/:_password=§",
    "Some(\"x\"), password: Some(\"§\")",
    "config['password'] = '§'",
    "$_ENV[\"DB_PASSWORD\"] = \"§\"",
    "user[password]=§",
    "'password' => '§'",
    ":password => \"§\"",
    "password: b'§'",
    "setPassword(\"§\")",
    "password('§')",
    "the password is in `x`, password: `§`",
    // Files of credentials.
    "machine h.example login ada password §",
    "machine h.example\n  login ada\n  password §\n",
    "machine h.example\\nlogin ada\\npassword §\\n",
    "machine h password § login ada",
    "default login ada password §",
    "db.example:5432:app:ada:§",
    "*:*:*:ada:§",
    "echo \"localhost:5432:app:ada:§\" > ~/.pgpass",
    "ada:$apr1$abcdefgh$§",
    "ada:$2y$05$§",
    "root:$6$rounds=5000$salt$§:19000:0:99999:7:::",
    "root:$y$j9T$§:19000:0:99999:7:::",
    "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$§",
    "userPassword: {SSHA}§",
    "ada:{SHA}§=",
    "pbkdf2_sha256$260000$salt$§=",
    // Headers, cookies, addresses, connections.
    "Authorization: Basic §",
    "Proxy-Authorization: Basic §",
    "authorization: \"Token §\"",
    "Set-Cookie: sid=§; Path=/; HttpOnly",
    "< set-cookie: a=\"b\"; sid=§",
    "Cookie: a='b'; sid=§",
    "Server=h;Database=d;User Id=sa;Password=§;Encrypt=yes",
    "Driver={x};Server=h;Uid=sa;Pwd=§;",
    "DRIVER={x};UID=sa;PWD={§};",
    "UID=sa;PWD=§;",
    "jdbc:postgresql://h/db?user=ada&password=§&ssl=true",
    "jdbc:mysql://h/db?password=§",
    "jdbc:sqlserver://h;user=sa;password=§;",
    "https://h/x?token=§&a=b",
    "https://h/x?a=b&access_key=§",
    "https://h/x?a=b&amp;api_key=§&amp;c",
    "https://h/?next=%2Fx%3Fpassword%3D§%26a",
    "postgres://ada:§@h/db",
    "host=h dbname=d user=ada password='§'",
    // Statements.
    "CREATE USER 'ada'@'%' IDENTIFIED BY '§';",
    "ALTER USER ada IDENTIFIED WITH mysql_native_password BY '§'",
    "GRANT ALL ON *.* TO a IDENTIFIED BY PASSWORD '§'",
    "create user ada identified by §;",
    "CREATE ROLE ada LOGIN PASSWORD '§'",
    "ALTER ROLE ada WITH ENCRYPTED PASSWORD '§' VALID UNTIL 'x'",
    "ALTER LOGIN sa WITH PASSWORD = N'§'",
    "SET PASSWORD FOR 'ada'@'h' = '§'",
    "SET PASSWORD = PASSWORD('§')",
];

/// The same, where what stands behind the secret tells what it is.
pub const TOLD_LATER: &[&str] = &[
    "echo 'root:§' | chpasswd",
    "echo root:§ | sudo chpasswd",
    "echo § | sudo -S ls",
    "printf '§' | docker login --password-stdin",
    "echo -e \"§\" | passwd root --stdin",
];

/// What stands before a secret, the secret, and what stands after it.
pub fn planted() -> impl Strategy<Value = (String, String, String)> {
    placed(FORMS.to_vec())
}

/// The same, of which some are told by what stands behind them.
pub fn told_later() -> impl Strategy<Value = (String, String, String)> {
    placed(TOLD_LATER.to_vec())
}

fn placed(forms: Vec<&'static str>) -> impl Strategy<Value = (String, String, String)> {
    (proptest::sample::select(forms), "[a-z]{3}[0-9]{3}[A-Za-z0-9]{16,24}").prop_map(|(form, secret)| {
        let (before, after) = form.split_once('§').expect("a place for the secret");
        (before.to_owned(), secret, after.to_owned())
    })
}

/// How much of a secret may be left.
fn told(clean: &str, secret: &str) -> bool {
    secret.as_bytes().windows(4).any(|part| clean.as_bytes().windows(4).any(|there| there == part))
}

#[test]
fn redact_each_form_is_known_wherever_it_stands() {
    let mut missed = Vec::new();
    for form in FORMS.iter().chain(TOLD_LATER) {
        for secret in ["hunter2Zq7vK9xW3pLm8T", "zq7-vK9_xW3pLm8TqR4s", "7Qv9Kx2Wp5Lm8Tr3Yz6Nb4Hd"] {
            for around in ["§", "one\n§\ntwo", "$ §", "  § # so", "{\"said\":\"§\"}"] {
                // What stands inside a document or a line already stands there alone.
                let is_whole = form.contains('\n') || form.contains('"') || form.starts_with("${");
                if around.starts_with(['{', '$', ' ']) && is_whole {
                    continue;
                }
                let text = around.replace('§', &form.replace('§', secret));
                let clean = scrub_text(&text);
                if told(&clean, secret) || !clean.contains(MARK) {
                    missed.push(format!("{text:?} is recorded as {clean:?}"));
                    break;
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} of them: {missed:#?}", missed.len());
}

/// Who writes a mark himself has not blanked what stands beside it.
#[test]
fn redact_a_mark_lets_nothing_through() {
    let mut missed = Vec::new();
    for form in FORMS.iter().chain(TOLD_LATER) {
        for hidden in [
            "[redacted]hunter2Zq7vK9xW3",
            "[redacted token]hunter2Zq7vK9xW3",
            "hunter2Zq7vK9xW3[redacted token]",
            "hunter2Z[redacted token]q7vK9xW3",
        ] {
            let is_hash = form.contains("$§") || form.contains("}§") || form.contains("Basic") || form.contains("YWRh");
            let text = form.replace('§', hidden);
            let clean = scrub_text(&text);
            if !is_hash && (told(&clean, "hunter2") || told(&clean, "q7vK9xW3")) {
                missed.push(format!("{text:?} is recorded as {clean:?}"));
            }
        }
    }
    assert!(missed.is_empty(), "{} of them: {missed:#?}", missed.len());
}

#[test]
fn redact_a_document_says_by_its_fields_what_is_secret() {
    let secret = "hunter2Zq7vK9xW3pLm8T";
    let document = json!({
        "password": secret, "nested": { "db_password": format!("a\"b\n{secret}"), "pairs": [{ "name": "API_TOKEN", "value": secret }] },
        "argv": ["mysql", "--password", secret, "-u", "ada"], "user": "ada", "password_hint": "the cat",
    });
    let clean = Scrubbed::of(document).document().clone();
    assert!(!told(&clean.to_string(), secret), "{clean}");
    assert_eq!((&clean["user"], &clean["password_hint"], &clean["argv"][4]), (&json!("ada"), &json!("the cat"), &json!("ada")));
}
