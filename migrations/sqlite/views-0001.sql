-- Read models. May be deleted and rebuilt from the log. Position 0 stands for "not yet".

create table call (
    intent     integer primary key,
    call       text    not null unique,
    account    text    not null,
    credential text    not null,
    person     text    not null,           -- behind the key
    resources  text    not null,           -- ids of what it is about, a space between them
    label      text,                       -- of what it is about
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
create index call_by_credential on call (credential, intent);
create index call_by_person on call (person, intent);
create index call_by_session on call (session, intent) where session is not null;
create index call_by_tool on call (tool, intent);
create index call_by_status on call (status, intent);
create index call_by_code on call (code, intent) where code is not null;
create index call_by_ip on call (ip, intent);
create index call_by_policy on call (policy, intent) where policy is not null;
create index call_by_switch on call (switch, intent) where switch is not null;
create index call_by_time on call (at, intent);
create index call_by_end on call (ended);
-- Of an account: what one asks is answered out of its own rows alone, whatever others have. No other index is in this order, so none
-- that holds the rows of others can be used for it.
create index call_of_account on call (account, (-intent));
create index call_of_credential on call ((account || credential), (-intent));
create index call_of_code on call (coalesce(account || code, ''), (-intent)) where coalesce(account || code, '') <> '';
create index call_of_policy on call (coalesce(account || policy, ''), (-intent)) where coalesce(account || policy, '') <> '';
create index call_of_switch on call (coalesce(account || switch, ''), (-intent)) where coalesce(account || switch, '') <> '';
-- '_' is a part of an account's id, not the end of a word.
create virtual table call_words using fts5 (words, content = '', columnsize = 0, detail = none, tokenize = "ascii tokenchars '_'");
-- Each word twice: for those who see everything, and as a word of its account. No word of a text has a '·'.
create trigger call_has_words after insert on call begin
    insert into call_words (rowid, words)
    values (new.intent, new.words || ' ' || new.account || '·' || replace(new.words, ' ', ' ' || new.account || '·'));
end;

-- What calls are about, and `provider:NAME` of those that were written down to reach one: by these they are found. `owned` is the
-- account and the subject: by it an account finds its own calls alone, whatever others have.
create table subject (
    subject   text    not null,
    owned     text    not null,
    of_intent integer not null,
    primary key (subject, of_intent)
) strict, without rowid;
create index subject_of_account on subject (owned, of_intent);

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
    subject  text,                         -- id of the switch, key, VM, node; or what was read
    -- The key, VM, provider or account that it is about, if it is about one; others of the account may not see it.
    concerns text
) strict;
create index administration_by_type on administration (type, position);
create index administration_by_subject on administration (subject, position);
create index administration_of_account on administration (account, (-position));
create index administration_of_concern on administration (concerns, (-position));
create index administration_for_all on administration ((-position))
    where account is null and type in ('log_read', 'switch_engaged', 'release_ramped', 'switch_released', 'switch_expired');

-- Whose a switch, key, VM or person is, and what it concerns.
create table owner (
    subject  text primary key,
    account  text,
    concerns text
) strict, without rowid;

-- The cursor says of which log the views are, by its mark, and what the newest event in them is, by the SHA-256 of its leaf.
create table cursor (
    view     text   primary key,
    position integer not null,
    leaf     text   not null default '',
    log      text   not null default ''
) strict, without rowid;
insert into cursor (view, position) values ('calls', 0);
