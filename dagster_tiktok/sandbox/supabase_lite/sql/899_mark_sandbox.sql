-- Only the sandbox creates this schema, in its own databases. sql/sandbox checks for it and is not
-- applied to any other database.

create schema sandbox;
comment on schema sandbox is 'This database is a sandbox''s: its clock may be moved.';
