-- What one account asks is answered out of its own rows alone, whatever others have. Everything is pulled from the log again.

-- Of an account: no other index is in this order, so none that holds the rows of others can be used for it.
drop index call_by_account;
create index call_of_account on call (account, (-intent));
create index call_of_credential on call ((account || credential), (-intent));
create index call_of_vm on call (coalesce(account || vm, ''), (-intent)) where coalesce(account || vm, '') <> '';
create index call_of_code on call (coalesce(account || code, ''), (-intent)) where coalesce(account || code, '') <> '';
create index call_of_policy on call (coalesce(account || policy, ''), (-intent)) where coalesce(account || policy, '') <> '';
create index call_of_switch on call (coalesce(account || switch, ''), (-intent)) where coalesce(account || switch, '') <> '';

-- '_' is a part of an account's id, not the end of a word.
drop trigger call_has_words;
drop table call_words;
create virtual table call_words using fts5 (words, content = '', columnsize = 0, detail = none, tokenize = "ascii tokenchars '_'");
-- Each word twice: for those who see everything, and as a word of its account. No word of a text has a '·'.
create trigger call_has_words after insert on call begin
    insert into call_words (rowid, words)
    values (new.intent, new.words || ' ' || new.account || '·' || replace(new.words, ' ', ' ' || new.account || '·'));
end;
drop index administration_by_account;
drop index administration_by_concern;
create index administration_of_account on administration (account, (-position));
create index administration_of_concern on administration (concerns, (-position));
create index administration_for_all on administration ((-position))
    where account is null and type in ('log_read', 'switch_engaged', 'release_ramped', 'switch_released', 'switch_expired');

delete from call;
delete from timeline;
delete from vm;
delete from owner;
delete from administration;
update cursor set position = 0;
