-- Whom an event concerns, and words of text without spaces. Everything is pulled from the log again.

drop table owner;
-- Whose a switch, key, VM or person is, and what it concerns.
create table owner (
    subject  text primary key,
    account  text,
    concerns text
);
-- The key, VM, provider or account that it is about, if it is about one; others of the account may not see it.
alter table administration add column concerns text;
create index administration_by_concern on administration (concerns, position);

delete from call;
delete from timeline;
delete from vm;
delete from administration;
update cursor set position = 0;
