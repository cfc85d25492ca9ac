-- The vault: what has to be erasable, apart from the log that cannot be.
--
-- A row with a signet was written with the key of the vault: who may come in as whom, and what an account is called, is not for
-- everybody to say who can write to the database. Without it a row counts as not there.

create table data_key (
    id      text primary key,              -- account/period
    wrapped bytea not null                  -- nonce and ciphertext under the key-encryption key
);

create table sealed (
    call text primary key,
    key  text not null,
    body bytea not null
);

create table account_name (
    account text primary key,
    name    text not null,
    signet  text
);

-- E-mail addresses are in their canonical form (`src/core/email.rs`), of which the database knows this much, and are one person's by
-- their bytes: what a locale makes of capitals is not asked.
create table person (
    id       text primary key,             -- user id
    account  text not null,
    side     text not null,                -- customer, staff
    role     text not null,                -- `unsaid` until the log has made them one of the account's people
    email    text not null,
    proved   bigint not null,              -- somebody who would know said that it is theirs: an operator, or an issuer
    password text not null,                -- argon2id, PHC string
    signet   text,
    constraint person_has_a_canonical_email_address check (email collate "C" ~ '^[^@[:space:]A-Z]+@[^@[:space:]A-Z]+$')
);
-- One person's in each account; only an address that was proved is one person's everywhere.
create unique index one_person_of_an_account_for_an_email_address
    on person (account collate "C", email collate "C") where role <> 'unsaid';
create unique index one_person_for_a_proved_email_address on person (email collate "C") where proved = 1;
create index person_by_email on person (email);

-- People who are signed in to the console.
create table session (
    hash       text primary key,           -- SHA-256 of the cookie, hex
    person     text not null,
    credential text not null,              -- what the console acts with for that person
    began      bigint not null,
    seen       bigint not null,
    ends       bigint not null,
    address    text,
    user_agent text,
    signet     text
);
create index session_of_person on session (person);

-- The invitation to the first of the staff.
create table invitation (
    hash   text primary key,               -- SHA-256 of the link's token, hex
    role   text not null,
    ends   bigint not null,
    signet text
);

-- Whom somebody has invited.
create table invited (
    id      text primary key,              -- the invitation, whose role and account are in the log
    hash    text not null unique,          -- SHA-256 of the link's token, hex
    account text not null,
    email   text not null,
    ends    bigint not null,
    signet  text,
    constraint invited_has_a_canonical_email_address check (email collate "C" ~ '^[^@[:space:]A-Z]+@[^@[:space:]A-Z]+$')
);

-- Whom other issuers know our people as.
create table identity (
    issuer  text not null,                 -- its address
    subject text not null,                 -- what it calls the person
    person  text not null,
    email   text not null,                 -- as the issuer named it when they were linked
    since   bigint not null,
    signet  text,
    primary key (issuer, subject)
);
create unique index identity_of_person on identity (person, issuer);

-- Attempts to sign in with an issuer that were used.
create table spent_attempt (
    digest text primary key,               -- SHA-256 of its state, hex
    ends   bigint not null
);

-- Guesses at passwords, counted for all nodes and over restarts.
create table guess (
    name    bytea primary key,             -- of whom, or from where: a keyed digest
    free_at bigint not null                -- when its pace is free again
);
create index guess_by_time on guess (free_at);

-- Searches that the staff keep for each other.
create table saved_search (
    id    text primary key,
    name  text not null,
    line  text not null,
    owner text not null,                   -- the person who keeps it
    made  bigint not null,
    signet text
);
