//! Settings, functions and sessions by which the role that serves, or any other role of the server, would keep a new session from
//! stopping anything, or lead it to another log: none does.
//!
//! INVARIANT: what is stopped is seen in the log's own tables, as the superuser reads them, and at a server that runs.

use std::time::Duration;

use forelog::log::dialect::Room;
use forelog::log::postgres::open_postgres;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::cli::{answer, complaint, text};
use crate::faults::cluster::until;
use crate::held::House;
use crate::postgres::{Cluster, fresh_roles};

async fn run(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.expect("a connection");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.expect(sql);
}

async fn number(url: &str, sql: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.expect("a connection");
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.expect(sql)
}

/// A copy of the log where the role's own search path finds it, a function that puts ours aside, and operators that lie.
const PLANTED: &str = "
    create table public.log_head as select * from log.log_head;
    create table public.event as select * from log.event;
    create table public.payload as select * from log.payload;
    create table public.state as select * from log.state;
    alter table public.state add primary key (name);
    create table public.schema_version as select * from log.schema_version;
    create function public.set_config(text, text, boolean) returns text language sql volatile as $$
        select pg_catalog.set_config($1, case when $1 = 'search_path' then 'public,log,pg_temp' else $2 end, $3) $$;
    create function public.current_setting(text) returns text language sql as $$ select 'log,pg_temp'::text $$;
    create function public.lie(text, text) returns boolean language sql as $$ select false $$;
    create operator public.= (leftarg = text, rightarg = text, function = public.lie);";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_greeted_sessions_are_not_led_to_another_log() {
    let house = House::open().await;
    let (superuser, app) = (&house.roles.superuser, &house.roles.app);
    // As it is before version 15 of PostgreSQL, and in what was upgraded from there.
    run(superuser, "grant create on schema public to public").await;
    run(app, PLANTED).await;
    run(app, &format!("alter role {} set search_path = public, pg_catalog", house.roles.name)).await;
    answer(&house.at(&["switch", "engage", "tool:vm_list", "--reason", "an incident"]));
    assert_eq!(house.code(&house.agent).await, "kill_switch_engaged");
    answer(&house.at(&["key", "revoke", house.agent["id"].as_str().expect("an id")]));
    assert_eq!(house.code(&house.agent).await, "token_revoked");
    for (table, count) in [("log", 2), ("public", 0)] {
        let told = format!("select count(*) from {table}.event where type in ('switch_engaged', 'credential_revoked')");
        assert_eq!(number(superuser, &told).await, count, "{table}");
    }
    let said = complaint(&house.at(&["doctor"]));
    assert!(said.contains("may make things in the schema public"), "{said}");
    assert!(said.contains("search_path=public, pg_catalog"), "{said}");
    run(superuser, &format!("alter role {} reset all", house.roles.name)).await;
    answer(&["migrate", "--database-url", superuser, "--grant-to", &house.roles.name]);
    assert_eq!(answer(&house.at(&["doctor"]))["ok"], true);
}

/// What the role sets for itself holds for none of our sessions.
const SETTINGS: [&str; 19] = [
    "default_transaction_read_only = on",
    "default_transaction_isolation = 'serializable'",
    "default_transaction_deferrable = on",
    "search_path = 'pg_temp'",
    "local_preload_libraries = 'nonexistent'",
    "statement_timeout = 1",
    "lock_timeout = 1",
    "idle_session_timeout = 1",
    "idle_in_transaction_session_timeout = 1",
    "row_security = off",
    "transform_null_equals = on",
    "standard_conforming_strings = off",
    "quote_all_identifiers = on",
    "array_nulls = off",
    "enable_indexscan = off",
    "random_page_cost = 1e10",
    "work_mem = 64",
    "bytea_output = 'escape'",
    "client_min_messages = 'error'",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_greeted_sessions_follow_no_setting_of_the_role() {
    let house = House::open().await;
    for (turn, setting) in SETTINGS.into_iter().enumerate() {
        run(&house.roles.superuser, &format!("alter role {} set {setting}", house.roles.name)).await;
        let output = house.begin(&["switch", "engage", "class:exec", "--reason", setting]).await.expect("it ended");
        assert!(output.status.success(), "{setting}: {}", text(&output.stderr));
        let said = complaint(&house.at(&["doctor"]));
        assert!(said.contains("a setting of its own"), "{setting}: {said}");
        run(&house.roles.superuser, &format!("alter role {} reset all", house.roles.name)).await;
        let engaged = "select count(*) from log.event where type = 'switch_engaged'";
        assert_eq!(number(&house.roles.superuser, engaged).await, i64::try_from(turn).expect("a number") + 1, "{setting}");
    }
    answer(&house.at(&["log", "verify"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_greeted_sessions_commit_on_disk_whatever_the_role_is_set_to() {
    let roles = fresh_roles().await;
    for (set, kept) in [("off", "on"), ("local", "on"), ("remote_write", "on"), ("remote_apply", "remote_apply"), ("on", "on")] {
        run(&roles.superuser, &format!("alter role {} set synchronous_commit = {set}", roles.name)).await;
        for room in Room::ALL {
            let room = open_postgres(&roles.app, room).await.expect("a room");
            let rows = room.query("select current_setting('synchronous_commit')", Vec::new()).await.expect("a row");
            assert_eq!(rows[0].text(0).expect("a text"), kept, "{set}");
        }
    }
}

/// Sessions of a role that has no right at all, until the server takes no more.
async fn taken(url: &str) -> Vec<PgConnection> {
    let mut taken = Vec::new();
    while let Ok(connection) = PgConnection::connect(url).await {
        taken.push(connection);
        assert!(taken.len() < 1000, "the server takes them all");
    }
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_greeted_once_there_is_room_again() {
    let cluster = Cluster::start().await;
    let house = House::on(cluster.fresh_roles().await).await;
    let stranger = crate::notices::stranger(&cluster, &house.roles.superuser).await;
    assert!(PgConnection::connect(&stranger).await.is_err(), "a role without a right here takes no session");
    run(&house.roles.superuser, "grant connect on database DATABASE to stranger".replace("DATABASE", &database(&house)).as_str())
        .await;
    let full = taken(&stranger).await;
    let refused = cluster.said("remaining connection slots");
    let engaging = house.begin(&["switch", "engage", "class:exec", "--reason", "there is room again"]);
    until("it was refused a session", async || cluster.said("remaining connection slots") > refused).await;
    drop(full);
    let output = engaging.await.expect("it ended");
    assert!(output.status.success(), "{}", text(&output.stderr));

    let full = taken(&stranger).await;
    let said = complaint(&house.at(&["switch", "engage", "class:exec", "--reason", "there is no room"]));
    assert!(said.contains("POST /api/v1/switches"), "{said}");
    let (status, said) = house.engage("class:write").await;
    assert_eq!(status, 201, "a server has its sessions: {said}");
    drop(full);
}

fn database(house: &House) -> String {
    house.roles.superuser.split(['/', '?']).nth(3).expect("its name").to_owned()
}

/// Somebody ends every new session of the role, for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_greeted_again_after_its_sessions_were_ended() {
    let house = House::open().await;
    let mut ends = PgConnection::connect(&house.roles.app).await.expect("the role");
    let node = format!("forelog log {}", house.server.id());
    let sql = format!(
        "do $$ declare ended integer := 0; now_ended integer; begin
           while ended < 5 loop
             perform pg_stat_clear_snapshot();
             select count(pg_terminate_backend(pid)) into now_ended from pg_stat_activity where usename = current_user
               and application_name like 'forelog log %' and application_name <> '{node}' and pid <> pg_backend_pid();
             ended := ended + now_ended;
             perform pg_sleep(0.001);
           end loop; end $$"
    );
    let ending = tokio::spawn(async move { ends.execute(AssertSqlSafe(sql)).await.map(|_| ()) });
    let output = house.begin(&["switch", "engage", "class:exec", "--reason", "sessions are ended"]).await.expect("it ended");
    assert!(output.status.success(), "{}", text(&output.stderr));
    ending.await.expect("a task").expect("it has ended some");
}

/// A commit that a standby keeps waiting is called what it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_greeted_by_a_server_whose_standby_is_away() {
    let cluster = Cluster::start().await;
    let house = House::on(cluster.fresh_roles().await).await;
    run(&cluster.url("postgres"), "alter system set synchronous_standby_names = 'away'").await;
    run(&cluster.url("postgres"), "select pg_reload_conf()").await;
    let call = async || house.ask(&house.agent, reqwest::Method::POST, "/api/v1/tools/vm_list", json!({})).await;
    until("what is wrong is said", async || {
        call().await.1["error"]["message"].as_str().is_some_and(|text| text.contains("standby"))
    })
    .await;
    let said = complaint(&house.at(&["doctor"]));
    assert!(said.contains("synchronous_standby_names"), "{said}");
    run(&cluster.url("postgres"), "alter system reset synchronous_standby_names").await;
    run(&cluster.url("postgres"), "select pg_reload_conf()").await;
    until("it goes on", async || call().await.0 == 200).await;
    tokio::time::timeout(Duration::from_mins(1), async { answer(&house.at(&["log", "verify"])) }).await.expect("an answer");
}
