//! What differs between SQLite and PostgreSQL beside their drivers: a few statements and the scripts of the schema.

/// One of the three rooms of data (ARCHITECTURE.md, three rooms).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Events, payloads, and the state written in the same transaction.
    Log,
    /// Read models; may be deleted and rebuilt.
    Views,
    /// Wrapped keys, people, sealed secrets.
    Vault,
}

impl Room {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Log, Self::Views, Self::Vault];

    /// File name without extension, and schema name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Views => "views",
            Self::Vault => "vault",
        }
    }

    /// Connections that read at once. Of the views more, since what is asked of them may take long: all looks that may be
    /// under way (`views::query_slots`) leave one free.
    #[must_use]
    pub fn readers(self) -> usize {
        if self == Self::Views { 8 } else { 4 }
    }
}

/// What differs between the two databases.
#[derive(Debug)]
pub struct Dialect {
    /// Shown in errors and by `doctor`.
    pub name: &'static str,
    /// Appended to the read of a row that is to be locked: SQLite has locked the whole file already.
    pub for_update: &'static str,
    /// The database's own clock in microseconds; null if it has none.
    pub clock: &'static str,
    /// Completes `where column …` to "is one of the list that is bound as `$1`".
    pub among: &'static str,
    /// How many tables `schema_version` a room's place (`$1`) has: a role that may not look into it sees it too.
    pub is_there: &'static str,
    /// Settings by which what is committed may not be on disk.
    pub careless: &'static str,
    /// Full text of the views.
    pub full_text: FullText,
    /// Schema scripts of a room, oldest first.
    pub(super) migrations: fn(Room) -> &'static [&'static str],
}

/// How calls are found by their words (`migrations/*/views-*.sql`).
#[derive(Debug)]
pub struct FullText {
    /// What to select from, so that matches come newest first and no more of them are read than are shown.
    pub from: &'static str,
    /// That a call has the words that are bound as `?`.
    pub matches: &'static str,
    /// The position of a match's intent.
    pub intent: &'static str,
    /// What is between words that must all be there, and what follows a word that only begins like this, in quotes of `quote`.
    pub and: &'static str,
    /// What is between words of which one is enough.
    pub or: &'static str,
    /// See `and`.
    pub prefix: &'static str,
    /// See `and`.
    pub quote: char,
    /// Empties the index; nothing where it is emptied with the table.
    pub clear: &'static str,
}

/// Embedded default.
pub static SQLITE: Dialect = Dialect {
    name: "sqlite",
    for_update: "",
    clock: "null",
    among: "in (select value from json_each($1))",
    is_there: "select count(*) from sqlite_schema where name = 'schema_version' and $1 = $1",
    careless: "select name from sqlite_schema where 0 = 1",
    full_text: FullText {
        // The index decides the order, or a common word would be collected whole first.
        from: "call_words cross join call on call.intent = call_words.rowid",
        matches: "call_words match ?",
        intent: "call_words.rowid",
        and: " AND ",
        or: " OR ",
        prefix: "*",
        quote: '"',
        clear: "insert into call_words (call_words) values ('delete-all')",
    },
    migrations: |room| match room {
        Room::Log => &[include_str!("../../migrations/sqlite/log-0001.sql")],
        Room::Views => &[include_str!("../../migrations/sqlite/views-0001.sql")],
        Room::Vault => &[include_str!("../../migrations/sqlite/vault-0001.sql")],
    },
};

/// Several nodes.
pub static POSTGRES: Dialect = Dialect {
    name: "postgres",
    for_update: " for update",
    clock: "log.wall_clock()",
    among: "= any($1)",
    is_there: "select count(*) from pg_tables where schemaname = $1 and tablename = 'schema_version'",
    careless: "select name from pg_settings where name in ('fsync', 'full_page_writes') and setting = 'off'",
    full_text: FullText {
        from: "call",
        matches: "found_by @@ (?)::text::tsquery",
        intent: "intent",
        and: " & ",
        or: " | ",
        prefix: ":*",
        quote: '\'',
        clear: "",
    },
    migrations: |room| match room {
        Room::Log => &[include_str!("../../migrations/postgres/log-0001.sql")],
        Room::Views => &[include_str!("../../migrations/postgres/views-0001.sql")],
        Room::Vault => &[include_str!("../../migrations/postgres/vault-0001.sql")],
    },
};
