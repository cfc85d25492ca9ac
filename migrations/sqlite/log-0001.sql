-- The log room: events, their encrypted payloads, and the state that is written in the same transaction.

create table log_head (
    log_id   integer primary key,
    position integer not null,             -- of the newest event; positions have no gaps
    at       integer not null,             -- microseconds UTC of the newest event; never runs backwards
    epoch    integer not null              -- moves with every change of control state
) strict;
insert into log_head (log_id, position, at, epoch) values (1, 0, 0, 0);

create table event (
    position integer primary key,
    at       integer not null,
    type     text    not null,
    call     text,
    leaf     blob    not null              -- canonical JSON, stored as it was hashed; every column comes from it
) strict;

create table payload (
    position integer not null,
    part     text    not null,
    key      text    not null,             -- data key in the vault
    body     blob    not null,             -- nonce and ciphertext
    primary key (position, part)
) strict, without rowid;

create table state (
    name     text    primary key,          -- kind:key
    control  integer not null,             -- 1: a fold of events, reloaded when the epoch moves
    position integer not null,             -- of the event that last changed it
    doc      blob    not null              -- JSON; null: gone
) strict, without rowid;
create index state_changes on state (position) where control = 1;

create trigger event_is_never_updated before update on event begin select raise(abort, 'events are never updated'); end;
create trigger event_is_never_deleted before delete on event begin select raise(abort, 'events are never deleted'); end;
create trigger event_has_no_gap before insert on event
    when new.position != (select coalesce(max(position), 0) + 1 from event)
    begin select raise(abort, 'positions have no gaps'); end;
create trigger payload_is_never_updated before update on payload begin select raise(abort, 'payloads are never updated'); end;
create trigger payload_is_never_deleted before delete on payload begin select raise(abort, 'payloads are never deleted'); end;
create trigger head_is_never_deleted before delete on log_head begin select raise(abort, 'the head is never deleted'); end;
create trigger head_never_goes_back before update on log_head
    when new.position < old.position or new.at < old.at or new.epoch < old.epoch
    begin select raise(abort, 'the head never goes back'); end;
