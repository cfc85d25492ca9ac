-- Searches that the staff keep for each other.

create table saved_search (
    id    text primary key,
    name  text not null,
    line  text not null,
    owner text not null,                   -- the person who keeps it
    made  bigint not null
);
