-- Read models. May be deleted and rebuilt from the log. Position 0 stands for "not yet".

create table call (
    intent     bigint primary key,
    call       text   not null unique,
    account    text   not null,
    credential text   not null,
    person     text   not null,            -- behind the key
    vm         text,
    label      text,                       -- of the VM
    tool       text   not null,
    via        text   not null,
    session    text,
    ip         text,
    text       text   not null,            -- public arguments
    words      text   not null,            -- of text, tool, vm and label, in lower case, a space between them
    at         bigint not null,
    status     text   not null,            -- as of the newest event
    held       bigint not null,
    decided    bigint not null,
    decision   text   not null,            -- queued, running or refused
    started    bigint not null,
    ended      bigint not null,
    ended_at   bigint not null,
    code       text,
    policy     text,                       -- that refused it
    switch     text,                       -- that stopped it
    found_by   tsvector not null generated always as (array_to_tsvector(string_to_array(words, ' '))) stored
);
create index call_by_account on call (account, intent);
create index call_by_credential on call (credential, intent);
create index call_by_person on call (person, intent);
create index call_by_vm on call (vm, intent);
create index call_by_session on call (session, intent) where session is not null;
create index call_by_tool on call (tool, intent);
create index call_by_status on call (status, intent);
create index call_by_code on call (code, intent) where code is not null;
create index call_by_ip on call (ip, intent);
create index call_by_policy on call (policy, intent) where policy is not null;
create index call_by_switch on call (switch, intent) where switch is not null;
create index call_by_time on call (at, intent);
create index call_by_end on call (ended);
create index call_by_words on call using gin (found_by);

-- Events of a call that are none of the steps in its row.
create table timeline (
    call     text   not null,
    position bigint not null,
    at       bigint not null,
    type     text   not null,
    primary key (call, position)
);

create table vm (
    vm    text primary key,
    label text not null
);

-- What happened outside of calls.
create table administration (
    position bigint primary key,
    at       bigint not null,
    type     text not null,
    account  text,                         -- that it affects; null: all, or none
    person   text,
    subject  text                          -- id of the switch, key, VM, node; or what was read
);
create index administration_by_account on administration (account, position);
create index administration_by_type on administration (type, position);
create index administration_by_subject on administration (subject, position);

-- Whose a switch, key, VM or person is.
create table owner (
    subject text primary key,
    account text not null
);

create table cursor (
    view     text   primary key,
    position bigint not null               -- of the newest event in the view
);
insert into cursor (view, position) values ('calls', 0);
