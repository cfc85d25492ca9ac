//! Who may do what on PostgreSQL: one role owns the schemas and changes them, another serves and can only append (P7).
//!
//! INVARIANT: the role that serves is never given more than a node needs; what it was given before is taken away first.

use super::blockers::IDLE;
use super::dialect::{POSTGRES, Room};
use super::sql::{Database, SqlError, Transaction, Value};

/// Gives `role` what serving needs in a room, and nothing else there. Needs the schema's owner. Whoever comes in by that role
/// by other means than a node does holds the log's head no longer than a node may, unless it says otherwise itself; to set that
/// takes somebody who may alter the role, and is left out for others.
pub async fn grant(database: &dyn Database, room: Room, role: &str) -> Result<(), SqlError> {
    let bare = role.replace('\'', "''");
    let role = format!("\"{}\"", role.replace('"', "\"\""));
    let named = role.replace('\'', "''");
    // Within a text that is a format.
    let quoted = named.replace('%', "%%");
    let schema = room.name();
    let rights = rights(room, &role);
    let limits = format!(
        "do $limits$ begin
           execute format('alter role {quoted} in database %I set idle_in_transaction_session_timeout = {}', current_database());
         exception when insufficient_privilege then
           raise notice 'the role''s own limits were not set';
         end $limits$",
        IDLE.as_millis()
    );
    let mut transaction = database.begin().await?;
    if room == Room::Log {
        transaction.script(&limits).await?;
    }
    let script = format!(
        "revoke all on schema {schema} from {role}; revoke all on all tables in schema {schema} from {role};
         grant usage on schema {schema} to {role}; grant select on all tables in schema {schema} to {role}; {rights};
         do $forelog$ declare room record; begin
             for room in select nspname, nspowner::pg_catalog.regrole::text as owner from pg_catalog.pg_namespace where nspname = '{schema}' loop
                 execute pg_catalog.format('grant connect on database %I to %s, %s', current_database(), '{named}', room.owner);
                 execute pg_catalog.format('revoke connect on database %I from public', current_database());
             end loop;
         exception when insufficient_privilege then
             raise warning 'only the owner of the database can keep other roles from it';
         end $forelog$;
         do $forelog$ declare other record; begin
             for other in select nspname from pg_catalog.pg_namespace where nspname not like 'pg\\_%' and nspname <> 'information_schema'
                 and pg_catalog.has_schema_privilege('{bare}', oid, 'CREATE') loop
                 begin
                     execute pg_catalog.format('revoke create on schema %I from public, %s', other.nspname, '{named}');
                 exception when insufficient_privilege then
                     raise warning 'only its owner can keep other roles from making things in the schema %', other.nspname;
                 end;
             end loop;
         end $forelog$;
         do $forelog$ begin
             if pg_catalog.has_database_privilege('{bare}', current_database(), 'TEMP, CREATE') then
                 execute pg_catalog.format('revoke create, temporary on database %I from public, %s', current_database(), '{named}');
             end if;
         exception when insufficient_privilege then
             raise warning 'only the owner of the database can take away temporary tables';
         end $forelog$"
    );
    transaction.script(&script).await?;
    if !is_granted(&mut *transaction, room, &bare).await? {
        transaction.rollback().await;
        return Err(SqlError::NotGranted { room });
    }
    transaction.commit().await
}

/// What a node writes in a room.
fn rights(room: Room, role: &str) -> String {
    let schema = room.name();
    match room {
        Room::Log => format!(
            "grant insert on log.event, log.payload to {role};
             grant insert, update, delete on log.state to {role};
             grant update (position, at, epoch) on log.log_head to {role}"
        ),
        Room::Views | Room::Vault => {
            // What was sealed under a data key is lost with it: it is made once, and neither changed nor removed by who serves.
            let kept = if room == Room::Vault {
                format!("; revoke update, delete on {schema}.data_key from {role}")
            } else {
                String::new()
            };
            format!(
                "grant insert, update, delete on all tables in schema {schema} to {role};
                 revoke insert, update, delete on {schema}.schema_version from {role}{kept}"
            )
        }
    }
}

/// Whether the role may do now what serving takes: who may not grant is told so by a notice alone.
async fn is_granted(transaction: &mut dyn Transaction, room: Room, role: &str) -> Result<bool, SqlError> {
    let written = match room {
        Room::Log => "event",
        Room::Views => "cursor",
        Room::Vault => "session",
    };
    let schema = room.name();
    let sql = format!(
        "select (has_schema_privilege('{role}', '{schema}', 'usage') and has_table_privilege('{role}', '{schema}.{written}', 'insert')
         and has_database_privilege('{role}', current_database(), 'connect'))::int::bigint"
    );
    Ok(transaction.query(&sql, Vec::new()).await?.first().map_or(Ok(0), |row| row.int(0))? == 1)
}

/// Whether this session's role owns the log's schema, or may act as who does. A file is its user's.
pub async fn owns(database: &dyn Database) -> Result<bool, SqlError> {
    if database.dialect().name != POSTGRES.name {
        return Ok(true);
    }
    let sql = "select nspname from pg_namespace where nspname = 'log' and pg_has_role(session_user, nspowner, 'MEMBER')";
    Ok(!texts(database, sql).await?.is_empty())
}

/// What this session's role was set to, by itself or by others, beyond the limit that [`grant`] sets. Our sessions follow none of
/// it; whoever set it may have wanted to lead them elsewhere, or to keep them out.
pub async fn settings(database: &dyn Database) -> Result<Vec<String>, SqlError> {
    if database.dialect().name != POSTGRES.name {
        return Ok(Vec::new());
    }
    texts(database, SETTINGS).await
}

const SETTINGS: &str = "\
select setting from pg_catalog.pg_db_role_setting s join pg_catalog.pg_roles r on r.oid = s.setrole, unnest(s.setconfig) as setting
where r.rolname = session_user and not r.rolsuper and setting not in ('idle_in_transaction_session_timeout=5000', 'idle_in_transaction_session_timeout=5s')
and s.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database())) order by 1";

/// Whether every role of the server may open sessions on this database, and so take those that stopping something needs.
pub async fn is_open_to_all(database: &dyn Database) -> Result<bool, SqlError> {
    if database.dialect().name != POSTGRES.name {
        return Ok(false);
    }
    let sql = "select 'open' where pg_catalog.has_database_privilege('public', current_database(), 'CONNECT')";
    Ok(!texts(database, sql).await?.is_empty())
}

/// Settings of the server by which what is committed may not survive a loss of power.
pub async fn careless(database: &dyn Database) -> Result<Vec<String>, SqlError> {
    texts(database, database.dialect().careless).await
}

async fn texts(database: &dyn Database, sql: &str) -> Result<Vec<String>, SqlError> {
    database.query(sql, Vec::<Value>::new()).await?.iter().map(|row| row.text(0).map(str::to_owned)).collect()
}
