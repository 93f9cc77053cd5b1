-- Prepares an empty database as hosted Supabase prepares a project's: the owner is no superuser,
-- and its new tables, functions and sequences in public are everybody's. For the tests.
create role hosted_owner nologin createdb createrole bypassrls;
do $$
begin
  execute format('alter database %I owner to hosted_owner', current_database());
end
$$;
grant usage on schema public to anon, authenticated, service_role;
alter default privileges for role hosted_owner in schema public
  grant all on tables to anon, authenticated, service_role;
alter default privileges for role hosted_owner in schema public
  grant all on functions to anon, authenticated, service_role;
alter default privileges for role hosted_owner in schema public
  grant all on sequences to anon, authenticated, service_role;
