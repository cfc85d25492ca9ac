-- People who are signed in to the console, and the invitation to the first of them.

create table session (
    hash       text primary key,           -- SHA-256 of the cookie, hex
    person     text not null,
    credential text not null,              -- what the console acts with for that person
    began      integer not null,
    seen       integer not null,
    ends       integer not null
) strict, without rowid;

create index session_of_person on session (person);

create table invitation (
    hash text primary key,                 -- SHA-256 of the link's token, hex
    role text not null,
    ends integer not null
) strict, without rowid;
