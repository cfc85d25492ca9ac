-- Guesses at passwords, counted for all nodes and over restarts.

create table guess (
    name    bytea primary key,             -- of whom, or from where: a keyed digest
    free_at bigint not null                -- when its pace is free again
);
create index guess_by_time on guess (free_at);
