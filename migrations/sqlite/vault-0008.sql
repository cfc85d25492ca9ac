-- Addresses are one person's by their bytes: what a locale makes of capitals is not asked. They are written in their canonical form
-- (`src/core/email.rs`), of which the database knows this much.

drop index one_person_of_an_account_for_an_email_address;
drop index one_person_for_a_proved_email_address;
create unique index one_person_of_an_account_for_an_email_address on person (account, email) where role <> 'unsaid';
create unique index one_person_for_a_proved_email_address on person (email) where proved = 1;

-- What an earlier version kept is folded when the vault is opened.
create trigger person_has_a_canonical_email_address_when_added before insert on person
when new.email not glob '?*@?*' or new.email glob '*@*@*' or new.email glob '*[A-Z]*'
    or new.email glob '*[' || char(9) || char(10) || char(13) || ' ]*'
begin select raise(abort, 'no e-mail address in its canonical form'); end;
create trigger person_has_a_canonical_email_address_when_changed before update of email on person
when new.email not glob '?*@?*' or new.email glob '*@*@*' or new.email glob '*[A-Z]*'
    or new.email glob '*[' || char(9) || char(10) || char(13) || ' ]*'
begin select raise(abort, 'no e-mail address in its canonical form'); end;
create trigger invited_has_a_canonical_email_address_when_added before insert on invited
when new.email not glob '?*@?*' or new.email glob '*@*@*' or new.email glob '*[A-Z]*'
    or new.email glob '*[' || char(9) || char(10) || char(13) || ' ]*'
begin select raise(abort, 'no e-mail address in its canonical form'); end;
create trigger invited_has_a_canonical_email_address_when_changed before update of email on invited
when new.email not glob '?*@?*' or new.email glob '*@*@*' or new.email glob '*[A-Z]*'
    or new.email glob '*[' || char(9) || char(10) || char(13) || ' ]*'
begin select raise(abort, 'no e-mail address in its canonical form'); end;
