-- The log room: events, their encrypted payloads, and the state that is written in the same transaction.
--
-- Sizes are bounded here, as on the other database. `insert or replace` deletes past the triggers of deletes: what is there already
-- is refused before it can be replaced.

create table log_head (
    log_id   integer primary key,
    position integer not null,             -- of the newest event; positions have no gaps
    at       integer not null,             -- microseconds UTC of the newest event; never runs backwards
    epoch    integer not null,             -- moves with every change of control state
    ahead    integer not null default 0,   -- microseconds that time may be ahead of the clocks
    mended   integer not null default 0    -- counts repairs; only they lower an epoch
) strict;
insert into log_head (log_id, position, at, epoch) values (1, 0, 0, 0);

create table event (
    position integer primary key,
    at       integer not null,
    type     text    not null check (length(type) <= 64),
    call     text    check (length(call) <= 64),
    leaf     blob    not null check (length(leaf) <= 61440) -- canonical JSON, stored as it was hashed; every column comes from it
) strict;
-- The newest event beside the calls says what control state is, and is looked up whenever that is loaded.
create index event_beside_calls on event (position) where call is null;
-- What a row beside the log says of a call is held against the call's events.
create index event_of_call on event (call, position) where call is not null;

create table payload (
    position integer not null,
    part     text    not null check (length(part) <= 64),
    key      text    not null check (length(key) <= 256),     -- data key in the vault
    body     blob    not null check (length(body) <= 131072), -- nonce and ciphertext
    primary key (position, part)
) strict, without rowid;

create table state (
    name     text    primary key check (length(name) <= 1024), -- kind:key
    control  integer not null,             -- 1: a fold of events, reloaded when the epoch moves
    position integer not null,             -- of the event that last changed it
    doc      blob    not null check (length(doc) <= case when name like 'node:%' then 8192 else 262144 end) -- JSON; null: gone
) strict, without rowid;
create index state_changes on state (position) where control = 1;

create trigger event_is_never_updated before update on event begin select raise(abort, 'events are never updated'); end;
create trigger event_is_never_deleted before delete on event begin select raise(abort, 'events are never deleted'); end;
create trigger event_has_no_gap before insert on event
    when new.position != (select coalesce(max(position), 0) + 1 from event)
    begin select raise(abort, 'positions have no gaps'); end;
create trigger event_is_never_replaced before insert on event
    when exists (select 1 from event where position = new.position)
    begin select raise(abort, 'events are never replaced'); end;

create trigger payload_is_never_updated before update on payload begin select raise(abort, 'payloads are never updated'); end;
create trigger payload_is_never_deleted before delete on payload begin select raise(abort, 'payloads are never deleted'); end;
create trigger payload_is_never_replaced before insert on payload
    when exists (select 1 from payload where position = new.position and part = new.part)
    begin select raise(abort, 'payloads are never replaced'); end;
-- Events and payloads are written in one transaction, in which the head moves last. A head that was pushed beyond its events does
-- not keep the payloads out of those that stop something.
create trigger payload_comes_with_its_event before insert on payload
    when not exists (select 1 from event where position = new.position)
        or new.position <= (select position from log_head where position <= (select max(position) from event))
    begin select raise(abort, 'payloads come with their event'); end;

create trigger head_is_never_deleted before delete on log_head begin select raise(abort, 'the head is never deleted'); end;
create trigger head_is_never_replaced before insert on log_head
    when exists (select 1 from log_head)
    begin select raise(abort, 'the head is never replaced'); end;
-- The head moves by what the events of the same transaction justify, and by nothing else. Only a repair lowers it, and is counted.
create trigger head_never_goes_back before update on log_head
    when new.position != old.position or new.at != old.at or new.epoch != old.epoch or new.mended != old.mended
    begin select case
        when new.mended = old.mended and (new.position < old.position or new.at < old.at or new.epoch < old.epoch)
            then raise(abort, 'the head never goes back')
        when (new.position != old.position or new.mended != old.mended) and new.position is not (select max(position) from event)
            then raise(abort, 'the head is where its events are')
        when (new.at != old.at or new.mended != old.mended)
            and new.at is not (select at from event order by position desc limit 1)
            then raise(abort, 'the head is of its newest event''s time')
        -- A head that was pushed beyond its events does not say how many there are.
        when new.mended = old.mended and new.epoch - old.epoch > (
            select case when old.position > newest then 1000 else newest - old.position end
            from (select coalesce(max(position), 0) as newest from event))
            then raise(abort, 'the epoch moves with events alone')
    end; end;
