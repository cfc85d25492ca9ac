-- Whom somebody has invited, and where people are signed in from.

create table invited (
    id      text primary key,              -- the invitation, whose role and account are in the log
    hash    text not null unique,          -- SHA-256 of the link's token, hex
    account text not null,
    email   text not null,
    ends    bigint not null
);

alter table session add column address text;
alter table session add column user_agent text;
