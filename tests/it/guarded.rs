//! What keeps the log from being changed is looked at for what it is, and tried; and what a role that serves can still do to
//! what comes next is nothing (P7).
//!
//! Invariant: whatever `doctor` tries here leaves the log as it was.

use forelog::core::call::Status;
use forelog::core::id::Position;
use forelog::export::verify::Fault::{Gap, PayloadMissing, PayloadOrphan};
use forelog::export::verify::{Extent, Fault, verify};
use forelog::log::dialect::Room;
use forelog::log::migration::migrate;
use forelog::log::postgres::open_postgres;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::cli::{answer, command, complaint, dir, shown, text};
use crate::local_admin::Data;
use crate::postgres::{Roles, fresh_roles};
use crate::sample_log::{Ask, LIST, SampleLog};

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("a connection")
}

async fn run(url: &str, sql: &str) {
    connect(url)
        .await
        .execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())))
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// A database that its owner has migrated, with an account in it; the configuration names the role that serves.
async fn site() -> (Data, Roles) {
    let roles = fresh_roles().await;
    answer(&["migrate", "--database-url", &roles.owner, "--grant-to", &roles.name]);
    (Data::new(Some(&roles.app)), roles)
}

async fn refused(connection: &mut PgConnection, sql: &str, why: &str) {
    let said = connection.execute(AssertSqlSafe(sql.to_owned())).await.expect_err(sql).to_string();
    assert!(said.contains(why), "{sql}: {said}");
}

#[tokio::test]
async fn postgres_guarded_a_role_that_serves_cannot_get_in_front_of_the_log() {
    let (data, roles) = site().await;
    let mut app = connect(&roles.app).await;
    refused(&mut app, "create temporary table event (position bigint)", "permission denied").await;
    refused(&mut app, "create temporary table log_head (position bigint)", "permission denied").await;
    // Even a role that may: what it makes stands in front of nothing.
    run(&roles.superuser, &format!("grant temporary on database {} to public", database(&roles))).await;
    for table in ["event", "payload", "log_head", "fresh", "state"] {
        let temporary = format!("create temporary table {table} (position bigint, part text, log_id bigint)");
        app.execute(AssertSqlSafe(temporary)).await.expect("a temporary table");
        let filled = format!("insert into pg_temp.{table} (position, log_id) select at, 1 from generate_series(1, 99) as at");
        app.execute(AssertSqlSafe(filled)).await.expect("rows");
    }
    app.execute("set search_path = pg_temp, log").await.expect("its own setting");
    let last: i64 = sqlx::query_scalar("select position from log.log_head").fetch_one(&mut app).await.expect("the head");
    let event = |at: i64| format!("insert into log.event (position, at, type, leaf) values ({at}, 1, 'x', '')");
    refused(&mut app, &event(100), "positions have no gaps").await;
    refused(&mut app, &event(last + 2), "positions have no gaps").await;
    refused(&mut app, &event(0), "positions have no gaps").await;
    // In front of the head, so that the next append would meet it.
    refused(&mut app, &event(last + 1), "the head moves with its events").await;
    for at in [last + 1, last + 2, last, 1, 0, -1, i64::MAX] {
        let payload = format!("insert into log.payload (position, part, key, body) values ({at}, 'arguments2', 'k', '')");
        refused(&mut app, &payload, "payloads come with their event").await;
    }
    refused(&mut app, "insert into log.log_head values (2, 0, 0, 0)", "permission denied").await;
    assert!(data.answer(&["key", "create", "--account", &data.account, "--label", "agent"])["id"].is_string(), "it goes on");
    assert!(data.answer(&["log", "verify"])["events"].as_i64() > Some(last));
}

fn database(roles: &Roles) -> &str {
    roles.superuser.split(['/', '?']).nth(3).expect("its name")
}

#[tokio::test]
async fn postgres_guarded_every_function_has_a_search_path_of_its_own() {
    let (_data, roles) = site().await;
    let loose = "select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname in ('log', 'views', 'vault')
        and not exists (select 1 from unnest(p.proconfig) as one where one like 'search_path=pg_catalog, %pg_temp'
            or one = 'search_path=pg_catalog, pg_temp')";
    let loose: Vec<String> = sqlx::query_scalar(loose).fetch_all(&mut connect(&roles.superuser).await).await.expect("functions");
    assert_eq!(loose, Vec::<String>::new());
    // Nobody else may make temporary tables either.
    let public = "select has_database_privilege('public', current_database(), 'TEMP')";
    let may: bool = sqlx::query_scalar(public).fetch_one(&mut connect(&roles.superuser).await).await.expect("a right");
    assert!(!may);
}

async fn faults(sample: &SampleLog, extent: Extent) -> Vec<(Fault, Position)> {
    let report = verify(&*sample.store, Some(&sample.reader.vault), extent, |_, _| ()).await.expect("a walk");
    let named = report.findings.iter().filter(|finding| !finding.fault.is_about_state());
    named.map(|finding| (finding.fault, finding.position.expect("a position"))).collect()
}

async fn edited(sample: &SampleLog, sql: &str) {
    let mut transaction = sample.store.database().begin().await.expect("a transaction");
    assert!(transaction.execute(sql, Vec::new()).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")) > 0, "{sql}");
    transaction.commit().await.expect("a commit");
}

/// What somebody has done to the tables past their triggers is named, by `doctor` as by `log verify`.
async fn everything_is_named(sample: SampleLog) {
    for _ in 0..2 {
        sample.finish(Ask::by(1, &LIST), Status::Succeeded, None).await;
    }
    let mut transaction = sample.store.database().begin().await.expect("a transaction");
    let unlock = if sample.url.is_some() {
        "alter table log.event disable trigger all; alter table log.payload disable trigger all"
    } else {
        "drop trigger event_is_never_deleted; drop trigger payload_is_never_deleted; drop trigger payload_comes_with_its_event"
    };
    transaction.script(unlock).await.expect(unlock);
    transaction.commit().await.expect("a commit");
    let head = sample.store.database().query("select position from log_head", Vec::new()).await.expect("the head");
    let head = head[0].int(0).expect("a position");
    let extents = [Extent::State, Extent::Whole];
    for extent in extents {
        assert_eq!(faults(&sample, extent).await, [], "an honest log");
    }
    // In front of the positions, at one that no event has, and beside what an event names.
    for at in [head + 1, head + 1000, i64::MAX, 0, -7, 3] {
        let empty = if sample.url.is_some() { "''" } else { "x''" };
        let sql = format!("insert into payload (position, part, key, body) values ({at}, 'stray', 'k', {empty})");
        edited(&sample, &sql).await;
        for extent in extents {
            assert_eq!(faults(&sample, extent).await, [(PayloadOrphan, Position(at))], "{extent:?}");
        }
        edited(&sample, "delete from payload where part = 'stray'").await;
    }
    let first = "(select min(position) from payload where part = 'arguments')";
    let at = sample.store.database().query(&format!("select position from event where position = {first}"), Vec::new()).await;
    let at = Position(at.expect("an event")[0].int(0).expect("a position"));
    edited(&sample, &format!("delete from payload where part = 'arguments' and position = {first}")).await;
    for extent in extents {
        assert_eq!(faults(&sample, extent).await, [(PayloadMissing, at)], "{extent:?}");
    }
    edited(&sample, "delete from event where position = (select max(position) from event where type = 'admitted')").await;
    for extent in extents {
        assert!(faults(&sample, extent).await.iter().any(|(fault, _)| *fault == Gap), "{extent:?}");
    }
}

#[tokio::test]
async fn guarded_gaps_and_payloads_without_events_are_named() {
    everything_is_named(SampleLog::sqlite().await).await;
}

#[tokio::test]
async fn postgres_guarded_gaps_and_payloads_without_events_are_named() {
    everything_is_named(SampleLog::postgres().await).await;
}

/// What makes `doctor` fail, what it says then, and what undoes it. APP, OWNER and DATABASE are the names of this database's.
const HARMS: [(&str, &str, &str); 29] = [
    ("grant pg_execute_server_program to APP", "may run programs", "revoke pg_execute_server_program from APP"),
    ("grant pg_write_server_files to APP", "which may run programs, or write and read files", "revoke pg_write_server_files from APP"),
    ("grant pg_read_server_files to APP", "may become pg_read_server_files", "revoke pg_read_server_files from APP"),
    ("grant pg_write_all_data to APP", "may write every table", "revoke pg_write_all_data from APP"),
    ("alter role APP createrole", "may give itself any role", "alter role APP nocreaterole"),
    ("alter role APP bypassrls", "is not held by row security", "alter role APP nobypassrls"),
    ("alter role APP replication", "may replicate the server", "alter role APP noreplication"),
    ("alter role APP superuser", "the database role is a superuser", "alter role APP nosuperuser"),
    (
        // Not inherited, by way of another: it takes a `set role`.
        "create role between_them noinherit; grant OWNER to between_them; alter role APP noinherit; grant between_them to APP",
        "may become OWNER, which owns log.event",
        "revoke between_them from APP; alter role APP inherit; drop role between_them",
    ),
    (
        "create role almighty superuser; alter role APP noinherit; grant almighty to APP",
        "may become almighty, which is a superuser",
        "revoke almighty from APP; alter role APP inherit; drop role almighty",
    ),
    (
        "grant set on parameter session_replication_role to APP",
        "may set session_replication_role",
        "revoke set on parameter session_replication_role from APP",
    ),
    ("grant temporary on database DATABASE to public", "may make temporary tables", "revoke temporary on database DATABASE from public"),
    ("create schema elsewhere; grant create on schema elsewhere to public", "may make things in the schema elsewhere", "drop schema elsewhere"),
    ("alter role APP set enable_seqscan = off", "a setting of its own, enable_seqscan=off", "alter role APP reset enable_seqscan"),
    ("grant create on schema log to APP", "may make things in the schema log", "revoke create on schema log from APP"),
    ("grant update (leaf) on log.event to public", "may update log.event", "revoke update (leaf) on log.event from public"),
    (
        "create function public.help() returns void language sql security definer as 'select 1'; alter function public.help() owner to OWNER",
        "may run public.help() as OWNER",
        "drop function public.help()",
    ),
    (
        "grant execute on function lo_export(oid, text) to APP",
        "may run lo_export(oid,text)",
        "revoke execute on function lo_export(oid, text) from APP",
    ),
    (
        "alter table log.event disable trigger event_is_never_deleted",
        "event_is_never_deleted is not in force",
        "alter table log.event enable always trigger event_is_never_deleted",
    ),
    (
        // As any session that plays a replica would have it.
        "alter table log.payload enable trigger payload_is_never_updated",
        "payload_is_never_updated is not in force",
        "alter table log.payload enable always trigger payload_is_never_updated",
    ),
    (
        "alter function log.refuse() rename to kept; create function log.refuse() returns trigger language plpgsql
         set search_path = pg_catalog, pg_temp as 'begin return new; end'",
        "the function log.refuse() is not what Forelog made",
        "drop function log.refuse(); alter function log.kept() rename to refuse",
    ),
    (
        "alter function log.refuse_gap() reset search_path",
        "the function log.refuse_gap() is not what Forelog made",
        "alter function log.refuse_gap() set search_path = pg_catalog, pg_temp",
    ),
    (
        "alter function log.refuse_gap() security definer",
        "the function log.refuse_gap() is not what Forelog made",
        "alter function log.refuse_gap() security invoker",
    ),
    (
        // Under its own name, and with a condition that never holds.
        "drop trigger payload_comes_with_its_event on log.payload; create trigger payload_comes_with_its_event
         before insert on log.payload for each row when (false) execute function log.refuse('no');
         alter table log.payload enable always trigger payload_comes_with_its_event",
        "it takes a payload without its event without a word",
        "drop trigger payload_comes_with_its_event on log.payload; create trigger payload_comes_with_its_event
         after insert on log.payload referencing new table as fresh for each statement execute function log.refuse_stray_payload();
         alter table log.payload enable always trigger payload_comes_with_its_event",
    ),
    (
        // Where every session looks first, so that it is shown by the same name.
        "create function pg_catalog.refuse() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as 'begin return new; end';
         drop trigger event_is_never_updated on log.event; create trigger event_is_never_updated before update on log.event
         for each row execute function pg_catalog.refuse('events are never updated');
         alter table log.event enable always trigger event_is_never_updated",
        "the trigger event_is_never_updated is not what Forelog made",
        "drop trigger event_is_never_updated on log.event; drop function pg_catalog.refuse();
         create trigger event_is_never_updated before update on log.event for each row execute function log.refuse('events are never updated');
         alter table log.event enable always trigger event_is_never_updated",
    ),
    (
        "create trigger a_guest before insert on log.event for each row execute function log.refuse('no')",
        "the trigger a_guest on log.event is none of Forelog's",
        "drop trigger a_guest on log.event",
    ),
    ("create rule silent as on delete to log.event do instead nothing", "the rule silent", "drop rule silent on log.event"),
    ("alter table log.payload set unlogged", "log.payload is no ordinary table", "alter table log.payload set logged"),
    (
        "alter table log.payload enable row level security; create policy all_of_it on log.payload using (true) with check (true)",
        "row security is on for log.payload",
        "drop policy all_of_it on log.payload; alter table log.payload disable row level security",
    ),
];

#[tokio::test]
async fn postgres_guarded_doctor_names_every_way_round() {
    let (data, roles) = site().await;
    let owner = format!("owner_of_{}", database(&roles));
    let own = |sql: &str| sql.replace("APP", &roles.name).replace("OWNER", &owner).replace("DATABASE", database(&roles));
    assert_eq!(data.answer(&["doctor"])["ok"], true);
    for (harm, said, cure) in HARMS {
        run(&roles.superuser, &own(harm)).await;
        let complaint = data.complaint(&["doctor"]);
        assert!(complaint.contains(&own(said)), "{harm}: {complaint}");
        run(&roles.superuser, &own(cure)).await;
        let well = command(&data.at(&["doctor"])).output().expect("doctor");
        assert!(well.status.success(), "after {cure}: {}", text(&well.stderr));
    }
    assert!(data.answer(&["log", "verify"])["events"].as_i64() > Some(0));
}

/// The owner's right to change the schema is not what makes doctor look: it tries as whoever asks.
#[tokio::test]
async fn postgres_guarded_what_is_tried_is_tried_as_who_asks() {
    let (data, roles) = site().await;
    let lax = "create or replace function log.refuse() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
        as 'begin if tg_op = ''TRUNCATE'' or tg_level = ''STATEMENT'' then return null; elsif tg_op = ''DELETE'' then return old; else return new; end if; end'";
    run(&roles.superuser, lax).await;
    let said = data.complaint(&["doctor"]);
    assert!(said.contains("log.refuse() is not what Forelog made") && !said.contains("without a word"), "{said}");
    let config = format!("database_url = \"{}\"\n[providers.sim]\nmachines = [\"web-1\"]\n", roles.superuser);
    std::fs::write(data.path().join("forelog.toml"), config).expect("a configuration");
    let said = data.complaint(&["doctor"]);
    for what in ["changes an event", "deletes an event", "empties the events", "changes a payload", "deletes the head"] {
        assert!(said.contains(&format!("it {what} without a word")), "{what}: {said}");
    }
    let events: i64 = sqlx::query_scalar("select count(*) from log.event")
        .fetch_one(&mut connect(&roles.superuser).await)
        .await
        .expect("a count");
    assert!(events > 0, "everything was rolled back");
    assert!(data.answer(&["log", "verify"])["events"].as_i64() == Some(events));
}

/// The same of a file, whose triggers are what their text says.
#[tokio::test]
async fn guarded_doctor_names_a_trigger_that_was_changed() {
    let data = Data::new(None);
    assert_eq!(data.answer(&["doctor"])["ok"], true);
    let edit = |sql: &str| {
        let connection = rusqlite::Connection::open(data.path().join("log.db")).expect("the file");
        connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    };
    let kept: Vec<(String, String)> = {
        let connection = rusqlite::Connection::open(data.path().join("log.db")).expect("the file");
        let mut all = connection.prepare("select name, sql from sqlite_schema where type = 'trigger'").expect("a statement");
        let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
        rows.collect::<Result<_, _>>().expect("the triggers")
    };
    assert!(kept.len() > 8);
    for (name, sql) in &kept {
        let gone = format!("the trigger {name} is not in force");
        edit(&format!("drop trigger {name}"));
        let said = data.complaint(&["doctor"]);
        assert!(said.contains(&gone), "{name}: {said}");
        edit(sql);
    }
    let never = "create trigger event_is_never_updated before update on event when 0 begin select raise(abort, 'events are never updated'); end";
    edit(&format!("drop trigger event_is_never_updated; {never}"));
    let said = data.complaint(&["doctor"]);
    assert!(said.contains("the trigger event_is_never_updated is not what Forelog made"), "{said}");
    assert!(said.contains("it changes an event without a word"), "{said}");
    let (_, before) = kept.iter().find(|(name, _)| name == "event_is_never_updated").expect("that one");
    edit(&format!("drop trigger event_is_never_updated; {before}"));
    edit("create trigger guest after insert on event begin update state set doc = doc; end");
    assert!(data.complaint(&["doctor"]).contains("the trigger guest on event is none of Forelog's"));
    edit("drop trigger guest");
    assert_eq!(data.answer(&["doctor"])["ok"], true);
    assert!(data.answer(&["log", "verify"])["events"].as_i64() > Some(0));
}

#[tokio::test]
async fn postgres_guarded_a_strangers_lock_keeps_nobody_from_starting() {
    let roles = fresh_roles().await;
    run(&roles.superuser, "create role stranger login").await;
    let mut stranger = connect(&roles.superuser.replacen("//postgres@", "//stranger@", 1)).await;
    // Whatever number a program might lock.
    stranger.execute("select pg_advisory_lock(4602678819172646912)").await.expect("a lock that everybody may have");
    let migrated = answer(&["migrate", "--database-url", &roles.owner, "--grant-to", &roles.name]);
    assert_eq!(migrated["schemas"]["log"], 1);
    let server = Data::new(Some(&roles.app));
    assert_eq!(server.answer(&["doctor"])["ok"], true);
    drop(stranger);
}

/// Who holds what a change of the schema needs is named, once it has waited for as long as it does.
#[tokio::test]
async fn postgres_guarded_a_migration_says_for_whom_it_waits() {
    let roles = fresh_roles().await;
    let at = dir();
    let mut owner = connect(&roles.owner).await;
    owner.execute("set application_name = 'an open console'; begin; create schema log").await.expect("half a schema");
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut owner).await.expect("its pid");
    let said = complaint(&["migrate", "--database-url", &roles.owner]);
    let who = format!("pid {pid}, application an open console, role owner_of_{}", database(&roles));
    assert!(said.contains(&who) && said.contains("hint:"), "{said}");
    owner.execute("rollback").await.expect("it ends");
    answer(&["migrate", "--database-url", &roles.owner, "--grant-to", &roles.name]);
    // The role that serves can only read that table, which holds up nobody.
    let mut app = connect(&roles.app).await;
    app.execute("begin; select * from log.schema_version").await.expect("a read");
    refused(&mut app, "lock table log.schema_version in exclusive mode", "permission denied").await;
    app.execute("rollback; begin; select * from log.schema_version").await.expect("a read");
    run(&roles.owner, "delete from log.schema_version where version = (select max(version) from log.schema_version)").await;
    let room = open_postgres(&roles.owner, Room::Log).await.expect("a room");
    let again = migrate(&*room, Room::Log).await.expect_err("that version is there");
    assert!(!format!("{again:?}").contains("Held"), "{again:?}");
    std::fs::write(at.path().join("forelog.toml"), format!("database_url = \"{}\"\n", roles.app)).expect("a configuration");
    assert!(complaint(&["doctor", "--data", shown(at.path())]).contains("forelog migrate"));
}

#[test]
fn guarded_an_older_program_refuses_a_newer_file() {
    let data = Data::new(None);
    for room in ["log", "vault"] {
        let edit = |sql: &str| {
            let connection = rusqlite::Connection::open(data.path().join(format!("{room}.db"))).expect("the file");
            connection.execute_batch(sql).expect(sql);
        };
        edit("insert into schema_version (version) values (99)");
        for args in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"], &["doctor"], &["log", "verify"], &["key", "list"]] {
            let said = data.complaint(args);
            assert!(said.contains("version 99") && said.contains("newer forelog"), "{room} {args:?}: {said}");
        }
        edit("delete from schema_version where version = 99");
    }
    assert_eq!(data.answer(&["doctor"])["ok"], true, "nothing was changed");
}
