-- The vault: what has to be erasable, apart from the log that cannot be.

create table data_key (
    id      text primary key,              -- account/period
    wrapped blob not null                  -- nonce and ciphertext under the key-encryption key
) strict, without rowid;

create table person (
    id       text primary key,             -- user id
    account  text not null,
    side     text not null,                -- customer, staff
    role     text not null,
    email    text not null unique,
    password text not null                 -- argon2id, PHC string
) strict, without rowid;

create table account_name (
    account text primary key,
    name    text not null
) strict, without rowid;

create table sealed (
    call text primary key,
    key  text not null,
    body blob not null
) strict, without rowid;
