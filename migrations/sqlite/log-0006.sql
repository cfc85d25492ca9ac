-- A file has no clock of its own, which the other database has a function for.

alter table log_head add column ahead integer not null default 0;  -- microseconds that time may be ahead of the clocks
alter table log_head add column mended integer not null default 0; -- counts repairs; only they lower an epoch

-- The head moves by what the events of the same transaction justify, and by nothing else. Only a repair lowers it, and is counted.

drop trigger head_never_goes_back;
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

-- A head that was pushed beyond its events does not keep the payloads out of those that stop something.
drop trigger payload_comes_with_its_event;
create trigger payload_comes_with_its_event before insert on payload
    when not exists (select 1 from event where position = new.position)
        or new.position <= (select position from log_head where position <= (select max(position) from event))
    begin select raise(abort, 'payloads come with their event'); end;
