-- What says that a row was written with the key of the vault: who may come in as whom is not for everybody to say who can
-- write to the database. A row without it counts as not there.

alter table person add column signet text;
alter table session add column signet text;
alter table invitation add column signet text;
alter table invited add column signet text;
alter table identity add column signet text;
