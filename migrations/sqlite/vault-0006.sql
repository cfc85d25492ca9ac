-- An e-mail address is one person's in each account; only one that was proved is one person's everywhere.

create table person_of_6 (
    id       text primary key,             -- user id
    account  text not null,
    side     text not null,                -- customer, staff
    role     text not null,                -- `unsaid` until the log has made them one of the account's people
    email    text not null,                -- in its canonical form
    proved   integer not null,             -- somebody who would know said that it is theirs: an operator, or an issuer
    password text not null                 -- argon2id, PHC string
) strict, without rowid;

insert into person_of_6 (id, account, side, role, email, proved, password)
    select id, account, side, role, email, 1, password from person;
drop table person;
alter table person_of_6 rename to person;

create unique index one_person_of_an_account_for_an_email_address on person (account, lower(email)) where role <> 'unsaid';
create unique index one_person_for_a_proved_email_address on person (lower(email)) where proved = 1;
create index person_by_email on person (email);
