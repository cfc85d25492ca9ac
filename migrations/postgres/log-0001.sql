-- The log room: events, their encrypted payloads, and the state that is written in the same transaction.
--
-- Sizes are bounded here, so that nobody who writes to the database makes a row that costs those who read it more than any other.

create table log_head (
    log_id   bigint primary key,
    position bigint not null,             -- of the newest event; positions have no gaps
    at       bigint not null,             -- microseconds UTC of the newest event; never runs backwards
    epoch    bigint not null,             -- moves with every change of control state
    ahead    bigint not null default 0,   -- microseconds that time may be ahead of the server's clock
    mended   bigint not null default 0    -- counts repairs; only they lower an epoch
);
insert into log_head (log_id, position, at, epoch) values (1, 0, 0, 0);

create table event (
    position bigint primary key,
    at       bigint not null,
    type     text   not null check (octet_length(type) <= 64),
    call     text   check (octet_length(call) <= 64),
    leaf     bytea  not null check (octet_length(leaf) <= 61440) -- canonical JSON, stored as it was hashed; every column comes from it
);
-- The newest event beside the calls says what control state is, and is looked up whenever that is loaded.
create index event_beside_calls on event (position) where call is null;
-- What a row beside the log says of a call is held against the call's events.
create index event_of_call on event (call, position) where call is not null;

create table payload (
    position bigint not null,
    part     text   not null check (octet_length(part) <= 64),
    key      text   not null check (octet_length(key) <= 256),    -- data key in the vault
    body     bytea  not null check (octet_length(body) <= 131072), -- nonce and ciphertext
    primary key (position, part)
);

create table state (
    name     text collate "C" primary key check (octet_length(name) <= 1024), -- kind:key
    control  bigint not null,             -- 1: a fold of events, reloaded when the epoch moves
    position bigint not null,             -- of the event that last changed it
    doc      bytea  not null check (octet_length(doc) <= case when name like 'node:%' then 8192 else 262144 end) -- JSON; null: gone
);
create index state_changes on state (position) where control = 1;

-- The server's own clock, in microseconds: one more voice beside those of the nodes.
create function wall_clock() returns bigint language sql volatile parallel safe set search_path = pg_catalog, pg_temp
    as $$ select (extract(epoch from clock_timestamp()) * 1000000)::bigint $$;

-- The functions behind the triggers name every table by its schema, and run with a search path in which a session's temporary
-- tables come last: one of them named `event` answers for nothing. Head, events and payloads move together, or not at all.

create function refuse() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    raise exception '%', tg_argv[0];
end $$;

-- The head moves by what the events of the same transaction justify, and by nothing else; time moves only near the server's clock.
-- Only a repair, which the role that serves may not count, lowers it.

-- At once: what no transaction can justify.
create function refuse_if_back() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare newest bigint;
begin
    if new.mended <> old.mended then
        return new;
    end if;
    if new.position < old.position or new.at < old.at or new.epoch < old.epoch then
        raise exception 'the head never goes back';
    end if;
    -- No batch is so long.
    if new.position - old.position > 1000000 then
        raise exception 'the head is where its events are';
    end if;
    if new.at > old.at and new.at > log.wall_clock() + 60000000 + new.ahead then
        raise exception 'the head is ahead of the server''s clock';
    end if;
    if new.epoch > old.epoch then
        select coalesce(max(position), 0) into newest from log.event;
        -- The events of this very statement may be there already, or not yet. A head that was pushed tells nothing.
        if new.epoch - old.epoch > (case when old.position <= newest then new.position - old.position else 1000 end) then
            raise exception 'the epoch moves with events alone';
        end if;
    end if;
    return new;
end $$;

-- At the end of the transaction, when all of its events are there.
create function refuse_unjustified() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare newest record;
begin
    select coalesce(max(position), 0) as position, coalesce(max(at), 0) as at into newest
        from (select e.position, e.at from log.event e order by e.position desc limit 1) e;
    if new.mended <> old.mended then
        if new.position <> newest.position or new.at <> newest.at then
            raise exception 'the head is where its events are';
        end if;
        return null;
    end if;
    if new.position <> old.position and new.position > newest.position then
        raise exception 'the head is where its events are';
    end if;
    if new.at <> old.at and not exists (select 1 from log.event e
                                        where e.position = least(new.position, newest.position) and e.at = new.at) then
        raise exception 'the head is of its newest event''s time';
    end if;
    return null;
end $$;

-- Replacing is an update or a delete here, which triggers refuse already. A second head would be another log.
create function refuse_second_head() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select 1 from log.log_head) then
        raise exception 'the head is never replaced';
    end if;
    return new;
end $$;

create function refuse_gap() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare added bigint; first bigint; last bigint;
begin
    select count(*), min(position), max(position) into added, first, last from fresh;
    if added > 0 and (last - first + 1 != added
        or first != coalesce((select max(position) from log.event where position < first), 0) + 1
        or last != (select max(position) from log.event)) then
        raise exception 'positions have no gaps';
    end if;
    -- A head that was pushed beyond its events does not keep those from being written that stop something.
    if added > 0 and last > coalesce((select max(position) from log.log_head), 0) then
        raise exception 'the head moves with its events';
    end if;
    return null;
end $$;

-- No event is of a time that is yet to come.
create function refuse_time() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare latest bigint; before bigint; first bigint;
begin
    select max(at), min(position) into latest, first from fresh;
    if latest > log.wall_clock() + 60000000 + (select h.ahead from log.log_head h where h.log_id = 1) then
        select e.at into before from log.event e where e.position < first order by e.position desc limit 1;
        if latest > coalesce(before, 0) then
            raise exception 'the event is ahead of the server''s clock';
        end if;
    end if;
    return null;
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

create trigger event_is_never_updated before update on event for each row execute function refuse('events are never updated');
create trigger event_is_never_deleted before delete on event for each row execute function refuse('events are never deleted');
create trigger event_is_never_truncated before truncate on event execute function refuse('events are never deleted');
-- Once for each statement, however many events it brings.
create trigger event_has_no_gap after insert on event referencing new table as fresh for each statement execute function refuse_gap();
create trigger event_is_not_ahead after insert on event referencing new table as fresh for each statement execute function refuse_time();
create trigger payload_is_never_updated before update on payload for each row execute function refuse('payloads are never updated');
create trigger payload_is_never_deleted before delete on payload for each row execute function refuse('payloads are never deleted');
create trigger payload_is_never_truncated before truncate on payload execute function refuse('payloads are never deleted');
create trigger payload_comes_with_its_event after insert on payload referencing new table as fresh for each statement execute function refuse_stray_payload();
create trigger head_is_never_deleted before delete on log_head for each row execute function refuse('the head is never deleted');
create trigger head_is_never_truncated before truncate on log_head execute function refuse('the head is never deleted');
create trigger head_never_goes_back before update on log_head for each row execute function refuse_if_back();
create trigger head_is_never_replaced before insert on log_head for each row execute function refuse_second_head();
create constraint trigger head_is_where_its_events_are after update on log_head deferrable initially deferred for each row when (old.* is distinct from new.*) execute function refuse_unjustified();

-- In force even for a session that plays a replica.
alter table event enable always trigger event_is_never_updated;
alter table event enable always trigger event_is_never_deleted;
alter table event enable always trigger event_is_never_truncated;
alter table event enable always trigger event_has_no_gap;
alter table event enable always trigger event_is_not_ahead;
alter table payload enable always trigger payload_is_never_updated;
alter table payload enable always trigger payload_is_never_deleted;
alter table payload enable always trigger payload_is_never_truncated;
alter table payload enable always trigger payload_comes_with_its_event;
alter table log_head enable always trigger head_is_never_deleted;
alter table log_head enable always trigger head_is_never_truncated;
alter table log_head enable always trigger head_never_goes_back;
alter table log_head enable always trigger head_is_never_replaced;
alter table log_head enable always trigger head_is_where_its_events_are;
