-- For the tests only: runs any SQL through the REST API, to read the catalog and to move time.
-- dagster_tiktok_tests/sql applies it to throwaway databases; never a migration.

create function public.test_sql(p jsonb) returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_rows jsonb := '[]';
begin
  if p ? 'query' then
    execute format('select coalesce(jsonb_agg(to_jsonb(x)), ''[]'') from (%s) as x', p ->> 'query')
      into v_rows;
  else
    execute p ->> 'statement';
  end if;
  return v_rows;
end
$$;
comment on function public.test_sql(jsonb) is 'Tests: runs any SQL.';
revoke all on function public.test_sql(jsonb) from public, anon, authenticated;
grant execute on function public.test_sql(jsonb) to service_role;
