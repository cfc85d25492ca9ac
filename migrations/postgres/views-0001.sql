-- Read models. May be deleted and rebuilt from the log. Position 0 stands for "not yet".

create table call (
    intent     bigint primary key,
    call       text   not null unique,
    account    text   not null,
    credential text   not null,
    person     text   not null,            -- behind the key
    resources  text   not null,            -- ids of what it is about, a space between them
    label      text,                       -- of what it is about
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
    -- Each word twice: for those who see everything, and as a word of its account. No word of a text has a '·'.
    found_by   tsvector not null generated always as (
        array_to_tsvector(string_to_array(words || ' ' || account || '·' || replace(words, ' ', ' ' || account || '·'), ' '))
    ) stored
);
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
create index call_by_words on call using gin (found_by);

-- What calls are about, and `provider:NAME` of those that were written down to reach one: by these they are found. `owned` is the
-- account and the subject: by it an account finds its own calls alone, whatever others have.
create table subject (
    subject   text   not null,
    owned     text   not null,
    of_intent bigint not null,
    primary key (subject, of_intent)
);
create index subject_of_account on subject (owned, of_intent);

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
    subject  text,                         -- id of the switch, key, VM, node; or what was read
    -- The key, VM, provider or account that it is about, if it is about one; others of the account may not see it.
    concerns text
);
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
);

-- The cursor says of which log the views are, by its mark, and what the newest event in them is, by the SHA-256 of its leaf.
create table cursor (
    view     text   primary key,
    position bigint not null,
    leaf     text   not null default '',
    log      text   not null default ''
);
insert into cursor (view, position) values ('calls', 0);
