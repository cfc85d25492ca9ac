-- The log room: events, their encrypted payloads, and the state that is written in the same transaction.

create table log_head (
    log_id   bigint primary key,
    position bigint not null,             -- of the newest event; positions have no gaps
    at       bigint not null,             -- microseconds UTC of the newest event; never runs backwards
    epoch    bigint not null              -- moves with every change of control state
);
insert into log_head (log_id, position, at, epoch) values (1, 0, 0, 0);

create table event (
    position bigint primary key,
    at       bigint not null,
    type     text   not null,
    call     text,
    leaf     bytea  not null              -- canonical JSON, stored as it was hashed; every column comes from it
);

create table payload (
    position bigint not null,
    part     text   not null,
    key      text   not null,             -- data key in the vault
    body     bytea  not null,             -- nonce and ciphertext
    primary key (position, part)
);

create table state (
    name     text collate "C" primary key, -- kind:key
    control  bigint not null,             -- 1: a fold of events, reloaded when the epoch moves
    position bigint not null,             -- of the event that last changed it
    doc      bytea  not null              -- JSON; null: gone
);
create index state_changes on state (position) where control = 1;

create function refuse() returns trigger language plpgsql as $$ begin raise exception '%', tg_argv[0]; end $$;
create function refuse_if_back() returns trigger language plpgsql as $$
begin
    if new.position < old.position or new.at < old.at or new.epoch < old.epoch then
        raise exception 'the head never goes back';
    end if;
    return new;
end $$;
create function refuse_gap() returns trigger language plpgsql as $$
declare added bigint; first bigint; last bigint;
begin
    select count(*), min(position), max(position) into added, first, last from fresh;
    if added > 0 and (last - first + 1 != added
        or first != coalesce((select max(position) from event where position < first), 0) + 1
        or last != (select max(position) from event)) then
        raise exception 'positions have no gaps';
    end if;
    return null;
end $$;

create trigger event_is_never_updated before update on event for each row execute function refuse('events are never updated');
create trigger event_is_never_deleted before delete on event for each row execute function refuse('events are never deleted');
create trigger event_is_never_truncated before truncate on event execute function refuse('events are never deleted');
-- Once for each statement, however many events it brings.
create trigger event_has_no_gap after insert on event referencing new table as fresh for each statement execute function refuse_gap();
create trigger payload_is_never_updated before update on payload for each row execute function refuse('payloads are never updated');
create trigger payload_is_never_deleted before delete on payload for each row execute function refuse('payloads are never deleted');
create trigger payload_is_never_truncated before truncate on payload execute function refuse('payloads are never deleted');
create trigger head_is_never_deleted before delete on log_head for each row execute function refuse('the head is never deleted');
create trigger head_is_never_truncated before truncate on log_head execute function refuse('the head is never deleted');
create trigger head_never_goes_back before update on log_head for each row execute function refuse_if_back();

-- In force even for a session that plays a replica.
alter table event enable always trigger event_is_never_updated;
alter table event enable always trigger event_is_never_deleted;
alter table event enable always trigger event_is_never_truncated;
alter table event enable always trigger event_has_no_gap;
alter table payload enable always trigger payload_is_never_updated;
alter table payload enable always trigger payload_is_never_deleted;
alter table payload enable always trigger payload_is_never_truncated;
alter table log_head enable always trigger head_is_never_deleted;
alter table log_head enable always trigger head_is_never_truncated;
alter table log_head enable always trigger head_never_goes_back;
