-- Addresses are one person's by their bytes: what a locale makes of capitals is not asked. They are written in their canonical form
-- (`src/core/email.rs`), of which the database knows this much.

drop index one_person_of_an_account_for_an_email_address;
drop index one_person_for_a_proved_email_address;
create unique index one_person_of_an_account_for_an_email_address
    on person (account collate "C", email collate "C") where role <> 'unsaid';
create unique index one_person_for_a_proved_email_address on person (email collate "C") where proved = 1;

-- What an earlier version kept is folded when the vault is opened.
alter table person add constraint person_has_a_canonical_email_address
    check (email collate "C" ~ '^[^@[:space:]A-Z]+@[^@[:space:]A-Z]+$') not valid;
alter table invited add constraint invited_has_a_canonical_email_address
    check (email collate "C" ~ '^[^@[:space:]A-Z]+@[^@[:space:]A-Z]+$') not valid;
