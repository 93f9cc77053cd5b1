-- Prepares an empty database like a hosted Supabase project, for the tests: the owner is not a
-- superuser, and everyone has all rights on new tables, functions and sequences in public.
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
