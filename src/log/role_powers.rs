//! By what the role of a PostgreSQL session could get round the triggers: itself, and every role that it may become.
//!
//! INVARIANT: a membership counts whether it is inherited or has to be taken with `set role`, and so does one of a member.

use super::dialect::POSTGRES;
use super::sql::{Database, SqlError, Value};

/// One row for each power.
const POWERS: &str = "\
with reach as (
    select r.oid, r.rolname, r.rolsuper, r.rolcreaterole, r.rolbypassrls, r.rolreplication,
        case when r.oid = me.oid then '' else 'may become ' || r.rolname || ', which ' end as how
    from pg_catalog.pg_roles me join pg_catalog.pg_roles r
        on r.oid = me.oid or (not me.rolsuper and pg_catalog.pg_has_role(me.oid, r.oid, 'MEMBER'))
    where me.rolname = session_user),
low as (select * from reach where not rolsuper),
kept as (select oid, relname, relowner from pg_catalog.pg_class where relnamespace = 'log'::regnamespace
    and relname in ('event', 'payload', 'log_head')),
owner as (select relowner as oid from kept union select nspowner from pg_catalog.pg_namespace where nspname = 'log')
select how || 'is a superuser' from reach where rolsuper
union all select how || 'may give itself any role' from low where rolcreaterole
union all select how || 'is not held by row security' from low where rolbypassrls
union all select how || 'may replicate the server' from low where rolreplication
union all select how || 'may run programs, or write and read files, on the server' from low where rolname in
    ('pg_execute_server_program', 'pg_write_server_files', 'pg_read_server_files')
union all select how || 'may write every table' from low where rolname = 'pg_write_all_data'
union all select how || 'owns the database' from low join pg_catalog.pg_database d on d.datdba = low.oid
    where d.datname = current_database()
union all select how || 'owns the schema log' from low join pg_catalog.pg_namespace n on n.nspowner = low.oid where n.nspname = 'log'
union all select how || 'owns log.' || relname from low join kept on kept.relowner = low.oid
union all select how || 'owns the function log.' || proname from low join pg_catalog.pg_proc p on p.proowner = low.oid
    where p.pronamespace = 'log'::regnamespace
union all select how || 'may make things in the schema ' || n.nspname from low, pg_catalog.pg_namespace n
    where n.nspname not like 'pg\\_%' and pg_catalog.has_schema_privilege(low.oid, n.oid, 'CREATE')
union all select how || 'may make temporary tables' from low
    where pg_catalog.has_database_privilege(oid, current_database(), 'TEMP')
union all select how || 'may ' || pg_catalog.lower(verb) || ' log.' || relname
    from low, kept, unnest(array['DELETE', 'TRUNCATE', 'TRIGGER']) as verb
    where pg_catalog.has_table_privilege(low.oid, kept.oid, verb)
union all select how || 'may update log.' || relname from low, kept
    where relname <> 'log_head' and pg_catalog.has_any_column_privilege(low.oid, kept.oid, 'UPDATE')
union all select how || 'may run ' || p.oid::regprocedure::text from low, pg_catalog.pg_proc p
    where p.proname in ('lo_import', 'lo_export', 'pg_read_file', 'pg_read_binary_file', 'pg_file_write', 'pg_file_rename', 'pg_file_unlink')
    and low.rolname not like 'pg\\_%' and pg_catalog.has_function_privilege(low.oid, p.oid, 'EXECUTE')
union all select how || 'may run ' || p.oid::regprocedure::text || ' as ' || o.rolname
    from low, pg_catalog.pg_proc p join pg_catalog.pg_roles o on o.oid = p.proowner
    where p.prosecdef and p.proowner <> low.oid and (o.rolsuper or p.proowner in (select oid from owner))
    and p.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    and not exists (select 1 from pg_catalog.pg_depend d where d.objid = p.oid and d.deptype = 'e')
    and pg_catalog.has_function_privilege(low.oid, p.oid, 'EXECUTE')
    and pg_catalog.has_schema_privilege(low.oid, p.pronamespace, 'USAGE')";

/// Whether this server's settings can be given away one by one: since version 15.
const GIVES_SETTINGS: &str = "select count(*) from pg_catalog.pg_proc where proname = 'has_parameter_privilege' and pronamespace = 'pg_catalog'::regnamespace";

/// Settings that turn triggers off, run code, or keep what is committed from the disk.
const SETTINGS: &str = "\
select distinct 'may set ' || name
from unnest(array['session_replication_role', 'allow_system_table_mods', 'session_preload_libraries', 'shared_preload_libraries',
    'dynamic_library_path', 'archive_command', 'restore_command', 'archive_library', 'fsync', 'full_page_writes',
    'zero_damaged_pages', 'ignore_checksum_failure']) as name, unnest(array['SET', 'ALTER SYSTEM']) as verb, pg_catalog.pg_roles r
where pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER') and pg_catalog.has_parameter_privilege(r.oid, name, verb)
and not (select rolsuper from pg_catalog.pg_roles where rolname = session_user) and not r.rolsuper";

/// What this session's role could do; nothing, if all is well. A file has no roles.
pub async fn powers(database: &dyn Database) -> Result<Vec<String>, SqlError> {
    if database.dialect().name != POSTGRES.name {
        return Ok(Vec::new());
    }
    let mut powers = texts(database, POWERS).await?;
    let gives = database.query(GIVES_SETTINGS, Vec::<Value>::new()).await?;
    if gives.first().map_or(Ok(0), |row| row.int(0))? > 0 {
        powers.extend(texts(database, SETTINGS).await?);
    }
    Ok(powers)
}

async fn texts(database: &dyn Database, sql: &str) -> Result<Vec<String>, SqlError> {
    database.query(sql, Vec::<Value>::new()).await?.iter().map(|row| row.text(0).map(str::to_owned)).collect()
}
