-- Guesses at passwords, counted for all nodes and over restarts.

create table guess (
    name    blob primary key,              -- of whom, or from where: a keyed digest
    free_at integer not null               -- when its pace is free again
) strict, without rowid;
create index guess_by_time on guess (free_at);
