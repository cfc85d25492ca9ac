-- The events of one call: what a row beside the log says of a call is held against them.

create index event_of_call on event (call, position) where call is not null;
