-- Whom other issuers know our people as, and attempts to sign in with one that were used.

create table identity (
    issuer  text not null,                 -- its address
    subject text not null,                 -- what it calls the person
    person  text not null,
    email   text not null,                 -- as the issuer named it when they were linked
    since   bigint not null,
    primary key (issuer, subject)
);

create unique index identity_of_person on identity (person, issuer);

create table spent_attempt (
    digest text primary key,               -- SHA-256 of its state, hex
    ends   bigint not null
);
