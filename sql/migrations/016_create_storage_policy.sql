-- Lets signed-in users upload slides. On some projects the role that applies the migrations does
-- not own storage.objects and may not create this policy. Then the migration prints a notice, so
-- that later ones are applied, and the policy has to be created in the dashboard's SQL editor.

do $$
begin
  if to_regclass('storage.objects') is null then
    raise notice 'no storage schema: the policy on storage.objects is not created';
    return;
  end if;
  if exists (
    select from pg_catalog.pg_policies as p
    where p.schemaname = 'storage' and p.tablename = 'objects'
      and p.policyname = 'signed-in users upload slides'
  ) then
    return;
  end if;
  create policy "signed-in users upload slides" on storage.objects
    for insert to authenticated with check (bucket_id = 'tiktok-slides');
exception when insufficient_privilege then
  raise notice 'the policy "signed-in users upload slides" on storage.objects was not created (%): '
    'run 016_create_storage_policy.sql in the SQL editor of the dashboard', sqlerrm;
end
$$;

-- {} -> {missing}: the policies that could not be created. Empty if there is no Storage.
create function public.missing_policies(p jsonb default '{}') returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object('missing', coalesce(jsonb_agg(wanted.name order by wanted.name), '[]'))
  from (values ('signed-in users upload slides')) as wanted (name)
  where to_regclass('storage.objects') is not null and not exists (
    select from pg_catalog.pg_policies as p
    where p.schemaname = 'storage' and p.tablename = 'objects' and p.policyname = wanted.name
  )
$$;

create or replace function public.schema_version(p jsonb default '{}') returns jsonb
language sql immutable
set search_path = ''
as $$ select jsonb_build_object('version', 16) $$;

comment on function public.missing_policies(jsonb) is '{} -> {missing}: the policies on storage.objects that do not exist.';

revoke all on function public.missing_policies(jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.missing_policies(jsonb) to service_role;
