-- The vault: what has to be erasable, apart from the log that cannot be.
--
-- A row with a signet was written with the key of the vault: who may come in as whom, and what an account is called, is not for
-- everybody to say who can write to the database. Without it a row counts as not there.

create table data_key (
    id      text primary key,              -- account/period
    wrapped blob not null                  -- nonce and ciphertext under the key-encryption key
) strict, without rowid;

create table sealed (
    call text primary key,
    key  text not null,
    body blob not null
) strict, without rowid;

create table account_name (
    account text primary key,
    name    text not null,
    signet  text
) strict, without rowid;

-- E-mail addresses are in their canonical form (`src/core/email.rs`), of which the database knows this much (triggers below), and are
-- one person's by their bytes.
create table person (
    id       text primary key,             -- user id
    account  text not null,
    side     text not null,                -- customer, staff
    role     text not null,                -- `unsaid` until the log has made them one of the account's people
    email    text not null,
    proved   integer not null,              -- somebody who would know said that it is theirs: an operator, or an issuer
    password text not null,                -- argon2id, PHC string
    signet   text
) strict, without rowid;
-- One person's in each account; only an address that was proved is one person's everywhere.
create unique index one_person_of_an_account_for_an_email_address
    on person (account, email) where role <> 'unsaid';
create unique index one_person_for_a_proved_email_address on person (email) where proved = 1;
create index person_by_email on person (email);

-- People who are signed in to the console.
create table session (
    hash       text primary key,           -- SHA-256 of the cookie, hex
    person     text not null,
    credential text not null,              -- what the console acts with for that person
    began      integer not null,
    seen       integer not null,
    ends       integer not null,
    address    text,
    user_agent text,
    signet     text
) strict, without rowid;
create index session_of_person on session (person);

-- The invitation to the first of the staff.
create table invitation (
    hash   text primary key,               -- SHA-256 of the link's token, hex
    role   text not null,
    ends   integer not null,
    signet text
) strict, without rowid;

-- Whom somebody has invited.
create table invited (
    id      text primary key,              -- the invitation, whose role and account are in the log
    hash    text not null unique,          -- SHA-256 of the link's token, hex
    account text not null,
    email   text not null,
    ends    integer not null,
    signet  text
) strict, without rowid;

-- Whom other issuers know our people as.
create table identity (
    issuer  text not null,                 -- its address
    subject text not null,                 -- what it calls the person
    person  text not null,
    email   text not null,                 -- as the issuer named it when they were linked
    since   integer not null,
    signet  text,
    primary key (issuer, subject)
) strict, without rowid;
create unique index identity_of_person on identity (person, issuer);

-- Attempts to sign in with an issuer that were used.
create table spent_attempt (
    digest text primary key,               -- SHA-256 of its state, hex
    ends   integer not null
) strict, without rowid;

-- Guesses at passwords, counted for all nodes and over restarts.
create table guess (
    name    blob primary key,             -- of whom, or from where: a keyed digest
    free_at integer not null                -- when its pace is free again
) strict, without rowid;
create index guess_by_time on guess (free_at);

-- Searches that the staff keep for each other.
create table saved_search (
    id    text primary key,
    name  text not null,
    line  text not null,
    owner text not null,                   -- the person who keeps it
    made  integer not null,
    signet text
) strict, without rowid;

-- The canonical form of an e-mail address, as far as the database knows it.
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
