//! Who may do what on PostgreSQL: one role owns the schemas and changes them, another serves and can only append (P7).
//!
//! INVARIANT: the role that serves is never given more than a node needs; what it was given before is taken away first.

use super::dialect::{POSTGRES, Room};
use super::sql::{Database, SqlError, Value};

/// Gives `role` what serving needs in a room, and nothing else there. Needs the schema's owner.
pub async fn grant(database: &dyn Database, room: Room, role: &str) -> Result<(), SqlError> {
    let role = format!("\"{}\"", role.replace('"', "\"\""));
    let schema = room.name();
    let rights = match room {
        Room::Log => format!(
            "grant insert on log.event, log.payload to {role};
             grant insert, update, delete on log.state to {role};
             grant update (position, at, epoch) on log.log_head to {role}"
        ),
        Room::Views | Room::Vault => format!(
            "grant insert, update, delete on all tables in schema {schema} to {role};
             revoke insert, update, delete on {schema}.schema_version from {role}"
        ),
    };
    let mut transaction = database.begin().await?;
    let script = format!(
        "revoke all on schema {schema} from {role}; revoke all on all tables in schema {schema} from {role};
         grant usage on schema {schema} to {role}; grant select on all tables in schema {schema} to {role}; {rights}"
    );
    transaction.script(&script).await?;
    transaction.commit().await
}

/// One row for each thing by which this session's role could get round the triggers.
const POWERS: &str = "\
with me as (select oid, rolname, rolsuper, rolcreaterole from pg_roles where rolname = session_user),
     kept as (select oid, relname, relowner from pg_class where relnamespace = 'log'::regnamespace
              and relname in ('event', 'payload', 'log_head'))
select 'is a superuser' from me where rolsuper
union all select 'may give itself any role' from me where rolcreaterole and not rolsuper
union all select 'owns the database' from me, pg_database
    where datname = current_database() and pg_has_role(me.oid, datdba, 'MEMBER') and not rolsuper
union all select 'owns the schema log' from me, pg_namespace
    where nspname = 'log' and pg_has_role(me.oid, nspowner, 'MEMBER') and not rolsuper
union all select 'owns log.' || relname from me, kept where pg_has_role(me.oid, relowner, 'MEMBER') and not rolsuper
union all select 'may ' || lower(verb) || ' log.' || relname from me, kept, unnest(array['DELETE', 'TRUNCATE', 'TRIGGER']) as verb
    where has_table_privilege(me.oid, kept.oid, verb) and not rolsuper
union all select 'may update log.' || relname from me, kept
    where relname <> 'log_head' and has_any_column_privilege(me.oid, kept.oid, 'UPDATE') and not rolsuper";

/// By what events could be changed through the database as this session finds it; nothing, if all is well.
pub async fn powers(database: &dyn Database) -> Result<Vec<String>, SqlError> {
    let dialect = database.dialect();
    let in_force = texts(database, dialect.triggers).await?;
    let scripts = (dialect.migrations)(Room::Log).iter();
    let names = scripts.flat_map(|script| script.lines()).filter_map(|line| line.strip_prefix("create trigger "));
    let mut powers: Vec<String> = names
        .filter_map(|rest| rest.split(' ').next())
        .filter(|name| !in_force.iter().any(|there| there == name))
        .map(|name| format!("the trigger {name} is not in force"))
        .collect();
    if dialect.name == POSTGRES.name {
        powers.extend(texts(database, POWERS).await?.into_iter().map(|power| format!("the database role {power}")));
    }
    Ok(powers)
}

/// Whether this session's role owns the log's schema, or may act as who does. A file is its user's.
pub async fn owns(database: &dyn Database) -> Result<bool, SqlError> {
    if database.dialect().name != POSTGRES.name {
        return Ok(true);
    }
    let sql = "select nspname from pg_namespace where nspname = 'log' and pg_has_role(session_user, nspowner, 'MEMBER')";
    Ok(!texts(database, sql).await?.is_empty())
}

/// Settings of the server by which what is committed may not survive a loss of power.
pub async fn careless(database: &dyn Database) -> Result<Vec<String>, SqlError> {
    texts(database, database.dialect().careless).await
}

async fn texts(database: &dyn Database, sql: &str) -> Result<Vec<String>, SqlError> {
    database.query(sql, Vec::<Value>::new()).await?.iter().map(|row| row.text(0).map(str::to_owned)).collect()
}
