-- The vault: what has to be erasable, apart from the log that cannot be.

create table data_key (
    id      text primary key,              -- account/period
    wrapped bytea not null                  -- nonce and ciphertext under the key-encryption key
);

create table person (
    id       text primary key,             -- user id
    account  text not null,
    side     text not null,                -- customer, staff
    role     text not null,
    email    text not null unique,
    password text not null                 -- argon2id, PHC string
);

create table account_name (
    account text primary key,
    name    text not null
);

create table sealed (
    call text primary key,
    key  text not null,
    body bytea not null
);
