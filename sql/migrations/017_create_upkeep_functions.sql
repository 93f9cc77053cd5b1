-- What keeps the ledger small. A post leaves six units; after a year two are enough.

-- {keep_days} -> {removed}: of posts whose five daily looks ended longer ago, the looks 1 to 4 go.
-- The fifth stays and says that they were opened, so that a later first look opens none; so does the
-- unit of the row. The figures are in post_metrics and tiktok_posts. Only the database's owner may
-- call it (SQL editor, cron). At most 20,000 a call: as many say that there may be more. Refuses to
-- keep less than 90 days.
create function private.prune_units(p jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_keep_days constant integer := coalesce((p ->> 'keep_days')::integer, 365);
  v_removed integer;
begin
  if v_keep_days < 90 then
    raise exception 'keep_days is %, the ledger keeps at least 90 days', v_keep_days
      using errcode = '22023';
  end if;
  delete from public.scrape_units as u
  where u.id = any (array(
    select daily.id
    from public.scrape_units as daily
    where daily.state = 'done' and daily.slot between 1 and 4
      and daily.finished_at < private.current_instant() - make_interval(days => v_keep_days)
      and exists (
        select from public.scrape_units as last
        where last.source_key = daily.source_key and last.slot = 5 and last.state = 'done'
          and last.finished_at < private.current_instant() - make_interval(days => v_keep_days)
      )
    order by daily.id
    limit 20000
    for update of daily skip locked
  ));
  get diagnostics v_removed = row_count;
  return jsonb_build_object('removed', v_removed);
end
$$;

create or replace function public.schema_version(p jsonb default '{}') returns jsonb
language sql immutable
set search_path = ''
as $$ select jsonb_build_object('version', 17) $$;

comment on function private.prune_units(jsonb) is '{keep_days} -> {removed}: of old posts only the unit of the row and the last daily look stay.';

revoke all on function private.prune_units(jsonb)
  from public, anon, authenticated, service_role;
