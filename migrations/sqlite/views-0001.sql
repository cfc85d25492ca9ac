-- Read models. May be deleted and rebuilt from the log. Position 0 stands for "not yet".

create table call (
    intent     integer primary key,
    call       text    not null unique,
    account    text    not null,
    credential text    not null,
    person     text    not null,           -- behind the key
    vm         text,
    label      text,                       -- of the VM
    tool       text    not null,
    via        text    not null,
    session    text,
    ip         text,
    text       text    not null,           -- public arguments
    words      text    not null,           -- of text, tool, vm and label, in lower case, a space between them
    at         integer not null,
    status     text    not null,           -- as of the newest event
    held       integer not null,
    decided    integer not null,
    decision   text    not null,           -- queued, running or refused
    started    integer not null,
    ended      integer not null,
    ended_at   integer not null,
    code       text,
    policy     text,                       -- that refused it
    switch     text                        -- that stopped it
) strict;
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

-- Words are made by the program: the tokenizer splits at their spaces alone.
create virtual table call_words using fts5 (words, content = '', columnsize = 0, detail = none, tokenize = 'ascii');
create trigger call_has_words after insert on call
    begin insert into call_words (rowid, words) values (new.intent, new.words); end;

-- Events of a call that are none of the steps in its row.
create table timeline (
    call     text    not null,
    position integer not null,
    at       integer not null,
    type     text    not null,
    primary key (call, position)
) strict, without rowid;

create table vm (
    vm    text primary key,
    label text not null
) strict, without rowid;

-- What happened outside of calls.
create table administration (
    position integer primary key,
    at       integer not null,
    type     text not null,
    account  text,                         -- that it affects; null: all, or none
    person   text,
    subject  text                          -- id of the switch, key, VM, node; or what was read
) strict;
create index administration_by_account on administration (account, position);
create index administration_by_type on administration (type, position);
create index administration_by_subject on administration (subject, position);

-- Whose a switch, key, VM or person is.
create table owner (
    subject text primary key,
    account text not null
) strict, without rowid;

create table cursor (
    view     text    primary key,
    position integer not null              -- of the newest event in the view
) strict, without rowid;
insert into cursor (view, position) values ('calls', 0);
