-- Replacing is an update or a delete here, which triggers refuse already. A second head would be another log.

create function refuse_second_head() returns trigger language plpgsql as $$
begin
    if exists (select 1 from log_head) then
        raise exception 'the head is never replaced';
    end if;
    return new;
end $$;
create trigger head_is_never_replaced before insert on log_head for each row execute function refuse_second_head();
alter table log_head enable always trigger head_is_never_replaced;
