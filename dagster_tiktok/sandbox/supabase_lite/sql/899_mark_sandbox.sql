-- The sandbox puts this into the databases that it makes, and nothing else does: sql/sandbox looks
-- for it and is applied to no other database.

create schema sandbox;
comment on schema sandbox is 'This database is a sandbox''s: its clock may be moved.';
