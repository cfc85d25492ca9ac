-- Events beside the calls: the newest of them says what control state is, and is looked up whenever that is loaded.

create index event_beside_calls on event (position) where call is null;
