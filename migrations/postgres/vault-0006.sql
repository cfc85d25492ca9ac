-- An e-mail address is one person's in each account; only one that was proved is one person's everywhere.

alter table person drop constraint person_email_key;
-- Somebody who would know said that it is theirs: an operator, or an issuer.
alter table person add column proved bigint not null default 1;
alter table person alter column proved drop default;

create unique index one_person_of_an_account_for_an_email_address on person (account, lower(email)) where role <> 'unsaid';
create unique index one_person_for_a_proved_email_address on person (lower(email)) where proved = 1;
create index person_by_email on person (email);
