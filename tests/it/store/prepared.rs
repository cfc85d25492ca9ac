//! Every statement of the source is prepared by the database that it is for.

use std::collections::BTreeSet;

use forelog::log::dialect::{POSTGRES, Room, SQLITE};
use forelog::log::migration::migrate;
use forelog::log::postgres::many_rows;
use forelog::log::sql::Insert;
use forelog::log::sqlite::one_row;
use forelog::log::tables::{EVENTS, PAYLOADS, STATE};
use forelog::views::call::CALLS;
use forelog::views::label::LABELS;
use sqlx::{AssertSqlSafe, Connection, Executor, SqlSafeStr};
use syn::visit::Visit;

use super::{Backend, on_both};

on_both! {
    prepared, store_every_statement_can_be_prepared, postgres_store_every_statement_can_be_prepared;
}

/// String literals that are whole statements.
#[derive(Default)]
struct Statements(BTreeSet<String>);

impl<'ast> Visit<'ast> for Statements {
    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        let text = literal.value();
        let begins = ["select ", "insert into ", "update ", "delete from "].iter().any(|start| text.starts_with(start));
        // The rest of a `format!` is built at run time; the other cases run those.
        if begins && !text.contains('{') {
            self.0.insert(text);
        }
    }
}

fn statements() -> BTreeSet<String> {
    let mut found = Statements::default();
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![source.join("log"), source.join("views")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the source") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // What each database has for itself is prepared on that one.
            if ["dialect.rs", "migration.rs", "roles.rs", "powers.rs", "refusing.rs", "session.rs", "sqlite.rs"]
                .iter()
                .any(|own| path.ends_with(own))
            {
                continue;
            }
            let text = std::fs::read_to_string(path).expect("a text");
            found.visit_file(&syn::parse_file(&text).expect("Rust"));
        }
    }
    found.0
}

async fn prepared(backend: Backend) {
    let rooms = [Room::Log, Room::Views, Room::Vault];
    for room in rooms {
        migrate(&*backend.room(room).await, room).await.expect("migrate");
    }
    let inserts: [&Insert; 5] = [&EVENTS, &PAYLOADS, &STATE, &CALLS, &LABELS];
    let insert = if matches!(backend, Backend::Sqlite(_)) { one_row } else { many_rows };
    let own = if matches!(backend, Backend::Sqlite(_)) { &SQLITE } else { &POSTGRES };
    let own = [own.is_there, own.careless].map(str::to_owned);
    let statements: BTreeSet<String> = statements().into_iter().chain(inserts.map(insert)).chain(own).collect();
    assert!(statements.len() >= 15, "{statements:#?}");
    for sql in statements {
        let failed = match &backend {
            // The lock that only several programs on one server need.
            Backend::Sqlite(_) if sql.starts_with("select pg_") || sql.contains(" pg_catalog.") => continue,
            Backend::Postgres(url) => {
                prepare_postgres(url, &sql).await.err().into_iter().map(|error| error.to_string()).collect()
            }
            Backend::Sqlite(dir) => {
                let mut failed = Vec::new();
                for room in rooms {
                    let file = dir.path().join(format!("{}.db", room.name()));
                    let connection = rusqlite::Connection::open(file).expect("a connection");
                    failed.extend(connection.prepare(&sql.replace('$', "?")).err().map(|error| error.to_string()));
                }
                // It belongs to one room, and only that one has its tables.
                if failed.len() < rooms.len() { Vec::new() } else { failed }
            }
        };
        assert!(failed.is_empty(), "{sql}: {failed:?}");
    }
}

async fn prepare_postgres(url: &str, sql: &str) -> Result<(), sqlx::Error> {
    let mut connection = sqlx::PgConnection::connect(url).await?;
    connection.execute("set search_path to log, views, vault").await?;
    connection.prepare(AssertSqlSafe(sql.to_owned()).into_sql_str()).await.map(|_| ())
}
