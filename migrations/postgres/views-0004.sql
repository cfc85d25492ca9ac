-- The cursor says of which log the views are, by its mark, and what the newest event in them is, by the SHA-256 of its leaf.
-- What was pulled before does not, and is pulled again.

alter table cursor add column leaf text not null default '';
alter table cursor add column log text not null default '';
