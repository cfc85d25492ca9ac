-- Events and payloads are written in one transaction, in which the head moves last.

create trigger payload_comes_with_its_event before insert on payload
    when new.position <= (select position from log_head) or not exists (select 1 from event where position = new.position)
    begin select raise(abort, 'payloads come with their event'); end;
