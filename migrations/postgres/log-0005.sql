-- The functions behind the triggers name every table by its schema, and run with a search path in which a session's temporary
-- tables come last: one of them named `event` answers for nothing. Head, events and payloads move together, or not at all.

create or replace function refuse() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    raise exception '%', tg_argv[0];
end $$;
create or replace function refuse_if_back() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if new.position < old.position or new.at < old.at or new.epoch < old.epoch then
        raise exception 'the head never goes back';
    end if;
    return new;
end $$;
create or replace function refuse_gap() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare added bigint; first bigint; last bigint;
begin
    select count(*), min(position), max(position) into added, first, last from fresh;
    if added > 0 and (last - first + 1 != added
        or first != coalesce((select max(position) from log.event where position < first), 0) + 1
        or last != (select max(position) from log.event)) then
        raise exception 'positions have no gaps';
    end if;
    if added > 0 and last is distinct from (select max(position) from log.log_head) then
        raise exception 'the head moves with its events';
    end if;
    return null;
end $$;
create or replace function refuse_second_head() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select 1 from log.log_head) then
        raise exception 'the head is never replaced';
    end if;
    return new;
end $$;

-- An event of this transaction was written by it: the row says so.
create function refuse_stray_payload() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select 1 from fresh left join log.event on event.position = fresh.position
        where event.position is null or event.xmin != pg_current_xact_id()::xid) then
        raise exception 'payloads come with their event';
    end if;
    return null;
end $$;
create trigger payload_comes_with_its_event after insert on payload referencing new table as fresh for each statement execute function refuse_stray_payload();
alter table payload enable always trigger payload_comes_with_its_event;
