-- Keeps the ledger small. A post leaves six units; after a year two are enough.

-- {keep_days} -> {removed}: removes slots 1 to 4 of posts whose daily scrapes ended longer ago.
-- Slot 5 stays, so that a later first scrape opens no daily units again, and so does slot 0. The
-- metrics are in post_metrics and tiktok_posts. Only the database's owner may call it (SQL editor,
-- cron). Removes at most 20,000 units a call: if it removes that many, there may be more. Does not
-- accept less than 90 days.
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

comment on function private.prune_units(jsonb) is '{keep_days} -> {removed}: removes the units of old posts, except slots 0 and 5.';

revoke all on function private.prune_units(jsonb)
  from public, anon, authenticated, service_role;
