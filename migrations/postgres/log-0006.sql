-- The server's own clock, in microseconds: one more voice beside those of the nodes.

create function wall_clock() returns bigint language sql volatile parallel safe set search_path = pg_catalog, pg_temp
    as $$ select (extract(epoch from clock_timestamp()) * 1000000)::bigint $$;
alter table log_head add column ahead bigint not null default 0;   -- microseconds that time may be ahead of that clock
alter table log_head add column mended bigint not null default 0;  -- counts repairs; only they lower an epoch

-- The head moves by what the events of the same transaction justify, and by nothing else; time moves only near the server's clock.
-- Only a repair, which the role that serves may not count, lowers it.

-- At once: what no transaction can justify.
create or replace function refuse_if_back() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
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
create constraint trigger head_is_where_its_events_are after update on log_head deferrable initially deferred for each row when (old.* is distinct from new.*) execute function refuse_unjustified();
alter table log_head enable always trigger head_is_where_its_events_are;

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
create trigger event_is_not_ahead after insert on event referencing new table as fresh for each statement execute function refuse_time();
alter table event enable always trigger event_is_not_ahead;

-- A head that was pushed beyond its events does not keep those from being written that stop something.
create or replace function refuse_gap() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare added bigint; first bigint; last bigint;
begin
    select count(*), min(position), max(position) into added, first, last from fresh;
    if added > 0 and (last - first + 1 != added
        or first != coalesce((select max(position) from log.event where position < first), 0) + 1
        or last != (select max(position) from log.event)) then
        raise exception 'positions have no gaps';
    end if;
    if added > 0 and last > coalesce((select max(position) from log.log_head), 0) then
        raise exception 'the head moves with its events';
    end if;
    return null;
end $$;
