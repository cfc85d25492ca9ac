-- What one account asks is answered out of its own rows alone, whatever others have. Everything is pulled from the log again.

delete from call;
delete from timeline;
delete from vm;
delete from owner;
delete from administration;
update cursor set position = 0;

-- Of an account: no other index is in this order, so none that holds the rows of others can be used for it.
drop index call_by_account;
create index call_of_account on call (account, (-intent));
create index call_of_credential on call ((account || credential), (-intent));
create index call_of_vm on call (coalesce(account || vm, ''), (-intent)) where coalesce(account || vm, '') <> '';
create index call_of_code on call (coalesce(account || code, ''), (-intent)) where coalesce(account || code, '') <> '';
create index call_of_policy on call (coalesce(account || policy, ''), (-intent)) where coalesce(account || policy, '') <> '';
create index call_of_switch on call (coalesce(account || switch, ''), (-intent)) where coalesce(account || switch, '') <> '';

-- Each word twice: for those who see everything, and as a word of its account. No word of a text has a '·'.
drop index call_by_words;
alter table call drop column found_by;
alter table call add column found_by tsvector not null generated always as (
    array_to_tsvector(string_to_array(words || ' ' || account || '·' || replace(words, ' ', ' ' || account || '·'), ' '))
) stored;
create index call_by_words on call using gin (found_by);

drop index administration_by_account;
drop index administration_by_concern;
create index administration_of_account on administration (account, (-position));
create index administration_of_concern on administration (concerns, (-position));
create index administration_for_all on administration ((-position))
    where account is null and type in ('log_read', 'switch_engaged', 'release_ramped', 'switch_released', 'switch_expired');
