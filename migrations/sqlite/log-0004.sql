-- `insert or replace` deletes past the triggers of deletes: what is there already is refused before it can be replaced.

create trigger payload_is_never_replaced before insert on payload
    when exists (select 1 from payload where position = new.position and part = new.part)
    begin select raise(abort, 'payloads are never replaced'); end;
create trigger head_is_never_replaced before insert on log_head
    when exists (select 1 from log_head)
    begin select raise(abort, 'the head is never replaced'); end;
create trigger event_is_never_replaced before insert on event
    when exists (select 1 from event where position = new.position)
    begin select raise(abort, 'events are never replaced'); end;
