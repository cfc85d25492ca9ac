//! `forelog doctor --mend`: the state beside the log is made again as the log says, by its owner, and that is an event.

use forelog::log::dialect::Room;
use forelog::log::postgres::open_postgres;
use forelog::log::sql::{Database, Value as Bound};
use forelog::log::sqlite::open_sqlite;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::{Server, answer, complaint, dir, shown};
use crate::postgres::{Roles, fresh_roles};

/// A case in a data directory, and in a database of which it knows the roles.
macro_rules! places {
    ($($case:ident, $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $sqlite() {
            $case(Place::sqlite()).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $postgres() {
            $case(Place::postgres().await).await;
        }
    )*};
}
pub(crate) use places;

/// A data directory, and on PostgreSQL the roles of its database.
pub struct Place {
    pub dir: TempDir,
    pub roles: Option<Roles>,
}

impl Place {
    pub fn sqlite() -> Self {
        Self { dir: dir(), roles: None }.configured()
    }

    pub async fn postgres() -> Self {
        let roles = fresh_roles().await;
        answer(&["migrate", "--database-url", &roles.owner, "--grant-to", &roles.name]);
        Self { dir: dir(), roles: Some(roles) }.configured()
    }

    fn configured(self) -> Self {
        let database = self.roles.as_ref().map_or_else(String::new, |roles| format!("database_url = \"{}\"\n", roles.app));
        let text = format!("listen = \"127.0.0.1:0\"\n{database}[providers.sim]\nmachines = [\"web-1\", \"db-1\"]\n");
        std::fs::write(self.dir.path().join("forelog.toml"), text).expect("a configuration");
        self
    }

    pub fn at<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [args, &["--data", shown(self.dir.path())]].concat()
    }

    pub fn answer(&self, args: &[&str]) -> Value {
        answer(&self.at(args))
    }

    pub fn complaint(&self, args: &[&str]) -> String {
        complaint(&self.at(args))
    }

    /// The command, as who owns the data.
    pub fn mending(&self) -> Vec<&str> {
        let owner = self.roles.iter().flat_map(|roles| ["--database-url", roles.owner.as_str()]);
        ["doctor", "--mend"].into_iter().chain(owner).collect()
    }

    /// The log room, as somebody has it who has the password of the role that serves; or as the server's superuser.
    pub async fn room(&self, above: bool) -> Box<dyn Database> {
        let opened = match &self.roles {
            Some(roles) => open_postgres(if above { &roles.superuser } else { &roles.app }, Room::Log).await,
            None => open_sqlite(&self.dir.path().join("log.db"), Room::Log).await,
        };
        opened.expect("the log room")
    }

    pub async fn edit(&self, sql: &str, args: Vec<Bound>) {
        let room = self.room(false).await;
        let mut transaction = room.begin().await.expect("a transaction");
        assert_eq!(transaction.execute(sql, args).await.expect(sql), 1, "{sql}");
        transaction.commit().await.expect("a commit");
    }

    async fn edit_rows(&self, sql: &str, args: Vec<Bound>) {
        let room = self.room(false).await;
        let mut transaction = room.begin().await.expect("a transaction");
        assert!(transaction.execute(sql, args).await.expect(sql) > 0, "{sql}");
        transaction.commit().await.expect("a commit");
    }

    async fn document(&self, name: &str) -> Value {
        let rows = self.room(false).await.query("select doc from state where name = $1", vec![name.into()]).await.expect("a row");
        serde_json::from_slice(rows.first().expect("the row").bytes(0).expect("bytes")).expect("a document")
    }
}

pub fn id(document: &Value) -> String {
    document["id"].as_str().unwrap_or_else(|| panic!("no id: {document}")).to_owned()
}

impl Place {
    /// The vault, as somebody has it who has the password of the role that serves; data keys that one may not change.
    async fn change_vault(&self, sql: &str, args: Vec<Bound>) -> u64 {
        let room = match &self.roles {
            Some(roles) if sql.contains("data_key") => open_postgres(&roles.superuser, Room::Vault).await,
            Some(roles) => open_postgres(&roles.app, Room::Vault).await,
            None => open_sqlite(&self.dir.path().join("vault.db"), Room::Vault).await,
        };
        let room = room.expect("the vault");
        let mut transaction = room.begin().await.expect("a transaction");
        let changed = transaction.execute(sql, args).await.expect(sql);
        transaction.commit().await.expect("a commit");
        changed
    }
}

/// A row of the vault that cannot be read, or that somebody without the key has written, refuses itself and nothing else.
async fn strangers_stop_nothing(place: Place) {
    let account = id(&place.answer(&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"]));
    place.answer(&["key", "create", "--account", &account, "--label", "agent"]);
    let columns = "id, account, side, role, email, proved, password";
    place
        .change_vault(
            &format!("insert into person ({columns}) values ('x', 'y', 'staff', 'admin', 'someone@example.com', 0, 'z')"),
            vec![],
        )
        .await;
    let made = format!(
        "insert into person ({columns}) select 'usr_01J00000000000000000000000', account, side, role, 'evil@example.com', proved, password from person where side = 'customer'"
    );
    place.change_vault(&made, vec![]).await;
    place
        .change_vault(
            "insert into invited (id, hash, account, email, ends) values ('x', 'y', 'z', 'nobody@example.com', 9000000000000000)",
            vec![],
        )
        .await;
    place
        .change_vault("insert into identity (issuer, subject, person, email, since) values ('a', 'b', 'x', 'c', 1)", vec![])
        .await;
    place
        .change_vault("insert into saved_search (id, name, line, owner, made) values ('x', 'y', 'z', 'nobody', 1)", vec![])
        .await;
    place.change_vault("insert into sealed (call, key, body) values ('x', 'y', $1)", vec![Bound::Bytes(vec![0])]).await;
    let switch = id(&place.answer(&["switch", "engage", "all", "--reason", "a test"]));
    assert_eq!(id(&place.answer(&["switch", "list"])["items"][0]), switch);
    let listed = place.answer(&["account", "list"]);
    assert_eq!(listed["items"][0]["people"], json!(["ops@example.com"]), "{listed}");
    place.answer(&["log", "verify"]);
    let serving = Server::start(&place.at(&["serve"]), &place.dir.path().join("serve.log")).await;
    drop(serving);
    let named = place.complaint(&["doctor"]);
    for row in ["person x", "person usr_01J00000000000000000000000", "invited x", "identity x", "saved_search x"] {
        assert!(named.contains(row) && named.contains("doctor --mend"), "{row}: {named}");
    }
    let mended = place.answer(&place.mending());
    let expected = json!([
        { "kind": "vault.identity", "removed": 1, "written": 0 },
        { "kind": "vault.invited", "removed": 1, "written": 0 },
        { "kind": "vault.person", "removed": 2, "written": 0 },
        { "kind": "vault.saved_search", "removed": 1, "written": 0 },
    ]);
    assert_eq!(mended["mended"], expected);
    assert_eq!(place.answer(&["doctor"])["ok"], json!(true));
    assert_eq!(place.answer(&place.mending())["mended"], json!([]));
}

/// A data key that does not open is named, whichever it is, and nothing else is kept from working by it.
async fn closed_keys_are_named(place: Place) {
    let account = id(&place.answer(&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"]));
    place.answer(&["key", "create", "--account", &account, "--label", "agent"]);
    assert_eq!(place.answer(&["doctor"])["ok"], json!(true));
    let closed =
        place.change_vault("update data_key set wrapped = $1 where id = 'sign-in/salt'", vec![Bound::Bytes(vec![0])]).await;
    assert_eq!(closed, 1, "the key of the salts");
    let named = place.complaint(&["doctor"]);
    assert!(named.contains("the data key sign-in/salt does not open"), "{named}");
    // The first of all, which is looked at when the vault is opened.
    let sql = "update data_key set wrapped = $1 where id = (select min(id) from data_key)";
    place.change_vault(sql, vec![Bound::Bytes(vec![0])]).await;
    let named = place.complaint(&["doctor"]);
    assert!(named.contains(&format!("the data key {account}/")) && named.contains("sign-in/salt"), "{named}");
    place.answer(&["switch", "engage", &format!("account:{account}"), "--reason", "a test"]);
    // The mark by which log and vault know each other.
    assert_eq!(place.change_vault("update data_key set wrapped = $1 where id = 'pair'", vec![Bound::Bytes(vec![0])]).await, 1);
    place.answer(&["switch", "engage", "all", "--reason", "a test"]);
    assert!(place.complaint(&["doctor"]).contains("the data key pair does not open"));
}

/// What is engaged is said to be engaged, also if nobody can tell who has confirmed it; and it is one switch, however often.
async fn engaged_whatever_can_be_told(place: Place) {
    place.answer(&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"]);
    let engage = ["switch", "engage", "all", "--reason", "incident 42"];
    let node = "node_01KDVDNA010000000000000000";
    let put = "insert into state (name, control, position, doc) values ($1, 0, 0, $2)";
    place.edit(put, vec![format!("node:{node}").into(), Bound::Bytes(vec![0])]).await;
    let engaged = place.answer(&engage);
    assert_eq!((&engaged["fenced"], &engaged["nodes"][0]["state"]), (&json!(false), &json!("waiting")), "{engaged}");
    assert!(place.complaint(&["doctor"]).contains(&format!("the row node:{node} is none of a node's")));
    // So many that not all of them are read.
    let many = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 1000)
                insert into state (name, control, position, doc) select 'node:x' || i, 0, 0, $1 from n";
    place.edit_rows(many, vec![Bound::Bytes(vec![0])]).await;
    let crowded = place.answer(&engage);
    assert_eq!((id(&crowded), &crowded["fenced"]), (id(&engaged), &json!(false)));
    assert!(crowded["untold"].as_str().is_some_and(|why| why.contains("1000 rows of nodes")), "{crowded}");
    place.edit_rows("delete from state where name like 'node:x%'", vec![]).await;
    place.edit("delete from state where name = $1", vec![format!("node:{node}").into()]).await;
    // What is nobody's row says nothing of anybody.
    place.edit("insert into state (name, control, position, doc) values ('node:x', 0, 0, $1)", vec![Bound::Bytes(vec![0])]).await;
    assert_eq!(place.answer(&engage)["fenced"], json!(true));
    assert!(place.complaint(&["doctor"]).contains("the row node:x is none of a node's"));
    let again = place.answer(&engage);
    assert_eq!(id(&again), id(&engaged), "the same command again is the same switch");
    assert_eq!(place.answer(&["switch", "list"])["items"].as_array().map(Vec::len), Some(1));
    let other = place.answer(&["switch", "engage", "all", "--reason", "incident 43"]);
    assert_ne!(id(&other), id(&engaged), "what is asked for in other words is another one");
    place.edit("delete from state where name = 'node:x'", vec![]).await;
    let told = place.answer(&engage);
    assert_eq!((id(&told), &told["fenced"]), (id(&engaged), &json!(true)));
}

places! {
    rows_are_made_again, mend_rows_are_made_again_as_the_log_says, postgres_mend_rows_are_made_again_as_the_log_says;
    a_broken_log_is_not_mended, mend_refuses_where_the_log_itself_is_broken, postgres_mend_refuses_where_the_log_itself_is_broken;
    strangers_stop_nothing, mend_rows_of_the_vault_that_are_not_ours_stop_nothing, postgres_mend_rows_of_the_vault_that_are_not_ours_stop_nothing;
    closed_keys_are_named, mend_each_data_key_that_does_not_open_is_named, postgres_mend_each_data_key_that_does_not_open_is_named;
    engaged_whatever_can_be_told, mend_a_switch_is_engaged_whatever_can_be_told_of_it, postgres_mend_a_switch_is_engaged_whatever_can_be_told_of_it;
}

async fn rows_are_made_again(place: Place) {
    let account = id(&place.answer(&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"]));
    let vms = ["web-1", "db-1"]
        .map(|machine| id(&place.answer(&["vm", "import", "--account", &account, "--provider", "sim", "--machine", machine])));
    let [dead, alive] = ["dead", "alive"].map(|label| place.answer(&["key", "create", "--account", &account, "--label", label]));
    place.answer(&["key", "revoke", &id(&dead)]);
    let switch = id(&place.answer(&["switch", "engage", &format!("vm:{}", vms[0]), "--reason", "a test"]));
    assert_eq!(place.answer(&["doctor"])["ok"], json!(true));
    assert_eq!(place.answer(&place.mending())["mended"], json!([]), "there is nothing to mend, and nothing is written");

    // A key lives again, a switch was let go of, a VM is gone; and rows that no event made.
    let key_row = format!("credential:{}", id(&dead));
    let mut row = place.document(&key_row).await;
    row["revoked_at"] = Value::Null;
    let update = "update state set doc = $1 where name = $2";
    place.edit(update, vec![row.to_string().into_bytes().into(), key_row.as_str().into()]).await;
    place.edit(update, vec![b"null".to_vec().into(), format!("switch:{switch}").into()]).await;
    place.edit("delete from state where name = $1", vec![format!("vm:{}", vms[1]).into()]).await;
    let insert = "insert into state (name, control, position, doc) select $1, control, position, doc from state where name = $2";
    place.edit(insert, vec!["nonsense:1".into(), key_row.as_str().into()]).await;
    place.edit(insert, vec!["credential:key_01KDVDNA010000000000000000".into(), key_row.as_str().into()]).await;
    // Names are anybody's text, and as many as anybody likes.
    for place_of in 0..220 {
        let name = format!("kind{place_of}{}\u{1b}[2J flk_live_secret:1", "z".repeat(240));
        place.edit(insert, vec![name.into(), key_row.as_str().into()]).await;
    }
    place.edit("update state set control = 1 where name = 'pair:vault'", Vec::new()).await;
    let job = "insert into state (name, control, position, doc) values ('job:call_01KDVDNA010000000000000000', 0, 1, $1)";
    place.edit(job, vec![b"{}".to_vec().into()]).await;
    place.complaint(&["serve"]);
    let named = place.complaint(&["doctor"]);
    for subject in [key_row.as_str(), &switch, &vms[1], "nonsense:1", "key_01KDVDNA01", "job:call_01KDVDNA01"] {
        assert!(named.contains(subject), "{subject} is not named: {named}");
    }
    if place.roles.is_some() {
        let refused = place.complaint(&["doctor", "--mend"]);
        assert!(refused.contains("owns the schema"), "the role that serves does not mend: {refused}");
        place.complaint(&["doctor"]);
    }

    let mended = place.answer(&place.mending());
    let rows = json!([
        { "kind": "credential", "written": 1, "removed": 1 },
        { "kind": "job", "written": 0, "removed": 1 },
        { "kind": "other", "written": 1, "removed": 221 },
        { "kind": "switch", "written": 1, "removed": 0 },
        { "kind": "vm", "written": 1, "removed": 0 },
    ]);
    assert_eq!(mended["mended"], rows, "{mended}");
    assert_eq!(place.answer(&["doctor"])["ok"], json!(true));
    assert_eq!(place.answer(&place.mending())["mended"], json!([]), "once");
    let bundle = place.dir.path().join("bundle");
    place.answer(&["export", "--out", shown(&bundle), "--plaintext"]);
    let lines = std::fs::read_to_string(bundle.join("events.jsonl")).expect("the lines");
    let event = lines.lines().find(|line| line.contains("state_mended")).expect("the event");
    assert!(event.contains("operator"), "it says who did it: {event}");
    assert!(!event.contains("zzz") && !event.contains("flk_live"), "no name of a row is in the log: {event}");

    let server = Server::start(&place.at(&["serve"]), &place.dir.path().join("serve.log")).await;
    let call = async |made: &Value, vm: &str| {
        let key = made["api_key"].as_str().expect("a key").to_owned();
        server.call(&key, "vm_get", json!({ "vm_id": vm })).await
    };
    assert_eq!(call(&dead, &vms[1]).await["error"]["code"], "token_revoked");
    assert_eq!(call(&alive, &vms[0]).await["error"]["code"], "kill_switch_engaged");
    assert_eq!(call(&alive, &vms[1]).await["vm_id"], json!(vms[1]));
    server.stop().await;
}

async fn a_broken_log_is_not_mended(place: Place) {
    let account = id(&place.answer(&["account", "create", "--name", "Example Ltd", "--email", "ops@example.com"]));
    let key = id(&place.answer(&["key", "create", "--account", &account, "--label", "laptop"]));
    place.answer(&["key", "revoke", &key]);
    let name = format!("credential:{key}");
    place.edit("delete from state where name = $1", vec![name.as_str().into()]).await;
    let room = place.room(true).await;
    let mut transaction = room.begin().await.expect("a transaction");
    let unlock = if place.roles.is_some() {
        "alter table log.event disable trigger event_is_never_updated"
    } else {
        "drop trigger event_is_never_updated"
    };
    transaction.script(unlock).await.expect(unlock);
    transaction.execute("update event set at = at + 1 where position = 2", Vec::new()).await.expect("an edited event");
    transaction.commit().await.expect("a commit");
    let refused = place.complaint(&place.mending());
    assert!(refused.contains("takes a backup"), "{refused}");
    let rows = room.query("select name from state where name = $1", vec![name.as_str().into()]).await.expect("rows");
    assert!(rows.is_empty(), "nothing was written");
}
