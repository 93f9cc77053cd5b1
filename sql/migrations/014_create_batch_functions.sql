-- A batch is one run for one day: it is opened, its stages record their totals, and it is closed
-- with what is left to do.

-- {batch_id, source_type, source_reference, partition_date, run_id} -> {opened}
-- A new batch closes those whose run died.
create function public.open_batch(p jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_opened integer;
begin
  insert into public.scraping_logs
    (batch_id, source_type, source_reference, partition_date, run_id)
  values ((p ->> 'batch_id')::uuid, p ->> 'source_type', p ->> 'source_reference',
    (p ->> 'partition_date')::date, p ->> 'run_id')
  on conflict (batch_id) do nothing;
  get diagnostics v_opened = row_count;
  if v_opened = 1 then
    perform private.close_dead_batches();
  else
    perform private.renew_heartbeat((p ->> 'batch_id')::uuid);
  end if;
  return jsonb_build_object('opened', v_opened = 1);
end
$$;

-- Renews the heartbeat of an open batch. A closed one does not change.
create function private.renew_heartbeat(batch_id uuid) returns void
language sql
set search_path = ''
as $$
  update public.scraping_logs as l set heartbeat_at = clock_timestamp()
  where l.batch_id = renew_heartbeat.batch_id and l.status = 'running'
$$;

-- Closes as failed the batches of killed runs. Such a batch has had no heartbeat for two minutes,
-- twelve times the interval, and holds no valid lease. A run that only lost its connection for a
-- while closes its batch itself at the end, with what it did.
create function private.close_dead_batches() returns void
language sql
set search_path = ''
as $$
  with dead as (
    select l.id from public.scraping_logs as l
    where l.status = 'running' and l.heartbeat_at < clock_timestamp() - interval '2 minutes'
      and not exists (
        select from public.scrape_units as u
        where u.leased_by = l.batch_id and u.lease_until > clock_timestamp()
      )
    order by l.id
    for update of l skip locked
  ), counted as (
    select d.id, count(u.id) as total,
      count(u.id) filter (where u.state = 'done' and u.outcome = 'scraped') as succeeded
    from dead as d
    join public.scraping_logs as l on l.id = d.id
    left join public.scrape_units as u on u.batch_id = l.batch_id
    group by d.id
  )
  update public.scraping_logs as l set
    status = 'failed',
    batch_completed_at = l.heartbeat_at,
    duration_seconds = round(extract(epoch from l.heartbeat_at - l.batch_started_at)::numeric, 3),
    total_urls = c.total,
    successful_scrapes = c.succeeded,
    failed_scrapes = c.total - c.succeeded,
    error_message = 'The run was interrupted: its last heartbeat was at '
      || to_char(l.heartbeat_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC.'
  from counted as c
  where l.id = c.id
$$;

-- {batch_id, stage, metrics, failures?} -> {}: the totals of a stage. A stage that runs again
-- replaces its own. Signed-in users read metrics, so error messages go into failures.
create function public.record_stage(p jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_stage constant text := p ->> 'stage';
begin
  update public.scraping_logs as l
  set metrics = l.metrics || jsonb_build_object(v_stage,
      coalesce(l.metrics -> v_stage, '{}') || coalesce(nullif(p -> 'metrics', 'null'), '{}')),
    failures = l.failures || jsonb_build_object(v_stage,
      coalesce(l.failures -> v_stage, '{}') || coalesce(nullif(p -> 'failures', 'null'), '{}'))
  where l.batch_id = (p ->> 'batch_id')::uuid;
  if not found then
    raise exception 'batch % is not open', p ->> 'batch_id' using errcode = 'P0002';
  end if;
  return '{}';
end
$$;

-- Only what counting and sorting need: after an import tens of thousands of units are due, and
-- their whole rows would be large.
create type private.due_unit as (
  id bigint, due_date date, slot smallint, kind text, lease_until timestamptz, waits boolean
);
revoke all on type private.due_unit from public;
grant usage on type private.due_unit to service_role;

-- Units that are due and not done: those of the caller's sheets, and all daily ones. The units of a
-- paused post wait for the user who paused it. A row that cannot be written back also waits for a
-- user: it is listed separately, because no run can do more about it.
create function private.due_units(due_date date, time_zone text, sources text[])
returns setof private.due_unit
language sql stable
set search_path = ''
as $$
  select u.id, u.due_date, u.slot, coalesce(u.error_kind, u.state), u.lease_until,
    coalesce(u.next_try_at > private.current_instant(), false)
  from public.scrape_units as u
  where u.state <> 'done' and u.unanswered_since is null
    and u.due_date <= least(due_units.due_date, private.current_day(due_units.time_zone))
    and (u.slot > 0 or u.source = any (due_units.sources))
    and (u.slot = 0 or u.state <> 'pending' or not exists (
      select from public.tiktok_posts as t
      where t.tiktok_id = u.tiktok_id and t.scrape_status = 'paused'
    ))
$$;

-- Units as `errors` and `units` list them.
create function private.list_units(unit_ids bigint[]) returns jsonb
language sql stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'unit_id', u.id, 'source', u.source, 'source_key', u.source_key, 'slot', u.slot, 'state', u.state,
    'outcome', u.outcome, 'error_kind', u.error_kind,
    'error', nullif(concat_ws('; ', u.error, u.note), ''),
    'unanswered_since', u.unanswered_since,
    'next_try_at', case when u.state <> 'done' and u.next_try_at > private.current_instant()
      then u.next_try_at end
  ) order by u.state = 'done', u.unanswered_since is not null, u.due_date, u.slot, u.id), '[]')
  from public.scrape_units as u
  where u.id = any (unit_ids)
$$;

-- {due_date, timezone, sources, limit} -> {count, leased, waiting, units} `leased`: how many of
-- them a batch works on now; `waiting`: how many have their next attempt later.
create function public.unfinished_units(p jsonb) returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  v_answer jsonb;
begin
  if p ->> 'due_date' is null or p ->> 'timezone' is null or private.parse_sources(p) is null then
    raise exception 'unfinished_units needs due_date, timezone and sources' using errcode = '22023';
  end if;
  with due as materialized (
    select * from private.due_units((p ->> 'due_date')::date, p ->> 'timezone',
      private.parse_sources(p))
  )
  select jsonb_build_object(
    'count', count(*),
    'leased', count(*) filter (where due.lease_until > now()),
    'waiting', count(*) filter (where due.waits),
    'units', private.list_units(array(
      select first.id from due as first
      order by first.due_date, first.slot, first.id
      limit coalesce((p ->> 'limit')::integer, 100)
    ))
  )
  into v_answer
  from due;
  return v_answer;
end
$$;

-- Rows of sheets that the caller does not read: tabs that were removed from its settings, or sheets
-- of another deployment. The caller never claims them, so it has to report them. Units that a batch
-- works on now are left out.
create function private.units_elsewhere(sources text[]) returns jsonb
language sql stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(to_jsonb(s) order by s.source), '[]')
  from (
    select u.source, count(*) as units, min(u.opened_at) as since
    from public.scrape_units as u
    where u.state <> 'done' and u.slot = 0 and u.source <> all (units_elsewhere.sources)
      and (u.lease_until is null or u.lease_until <= now())
    group by u.source
  ) as s
$$;

-- {sources} -> {sheets: [{source, units, since}]}
create function public.units_elsewhere(p jsonb) returns jsonb
language plpgsql stable
set search_path = ''
as $$
begin
  if private.parse_sources(p) is null then
    raise exception 'units_elsewhere needs sources' using errcode = '22023';
  end if;
  return jsonb_build_object('sheets', private.units_elsewhere(private.parse_sources(p)));
end
$$;

-- Rows of this batch whose post was already named by an earlier row. The post has its VA, creator
-- and set from that one.
create function private.repeated_rows(batch_id uuid, row_limit integer) returns jsonb
language sql stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'source', r.source, 'source_key', r.source_key,
    'first_source', r.first_source, 'first_key', r.first_key
  ) order by r.id), '[]')
  from (
    select u.id, u.source, u.source_key, first.source as first_source,
      first.source_key as first_key
    from public.scrape_units as u
    join public.scrape_units as first on first.tiktok_id = u.tiktok_id and first.is_origin
    where u.batch_id = repeated_rows.batch_id and u.slot = 0 and u.outcome = 'scraped'
      and not u.is_origin and u.state in ('persisted', 'done')
    order by u.id
    limit repeated_rows.row_limit
  ) as r
$$;

-- {batch_id, timezone, sources, limit, error?} -> the summary of the batch. `error`: what ended it
-- early. Closing again recomputes the totals; the time of closing stays unless they have changed.
create function public.close_batch(p jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_batch_id constant uuid := (p ->> 'batch_id')::uuid;
  v_limit constant integer := coalesce((p ->> 'limit')::integer, 100);
  v_time_zone constant text := p ->> 'timezone';
  v_sources constant text[] := private.parse_sources(p);
  v_sheets_failed jsonb;
  v_before public.scraping_logs;
  v_after public.scraping_logs;
  v_total integer;
  v_succeeded integer;
  v_unavailable integer;
  v_expired integer;
  v_carousels integer;
  v_unfinished integer;
  v_waiting integer;
  v_kinds text;
  v_listed bigint[];
begin
  if v_time_zone is null or v_sources is null then
    raise exception 'close_batch needs batch_id, timezone and sources' using errcode = '22023';
  end if;
  select l.* into v_before from public.scraping_logs as l where l.batch_id = v_batch_id for update;
  if not found then
    raise exception 'batch % is not open', p ->> 'batch_id' using errcode = 'P0002';
  end if;
  v_after := v_before;

  select count(*),
    count(*) filter (where ended and u.outcome = 'scraped'),
    count(*) filter (where ended and u.outcome = 'unavailable'),
    count(*) filter (where ended and u.outcome = 'expired'),
    count(distinct u.tiktok_id) filter (where u.is_carousel)
  into v_total, v_succeeded, v_unavailable, v_expired, v_carousels
  from public.scrape_units as u
  cross join lateral (select u.state = 'done' or u.unanswered_since is not null as ended) as e
  where u.batch_id = v_batch_id;

  with due as materialized (
    select * from private.due_units(v_before.partition_date, v_time_zone, v_sources)
  )
  select (select count(*) from due), (select count(*) from due where due.waits),
    (
      select string_agg(format('%s (%s)', k.kind, k.n), ', ' order by k.n desc, k.kind)
      from (select due.kind, count(*) as n from due group by due.kind) as k
    ),
    array(select due.id from due order by due.due_date, due.slot, due.id limit v_limit)
  into v_unfinished, v_waiting, v_kinds, v_listed;

  -- Every run lists the rows that could not be written back, until they are.
  v_listed := v_listed || array(
    select u.id from public.scrape_units as u
    where u.state = 'persisted' and u.state <> 'done' and u.unanswered_since is not null
      and u.source = any (v_sources)
    order by u.due_date, u.slot, u.id
    limit v_limit - cardinality(v_listed)
  );
  v_listed := v_listed || array(
    select u.id from public.scrape_units as u
    where u.batch_id = v_batch_id and u.state = 'done'
      and (u.outcome in ('unavailable', 'expired') or u.note is not null)
    order by u.due_date, u.slot, u.id
    limit v_limit - cardinality(v_listed)
  );

  v_after.total_urls := v_total;
  v_after.successful_scrapes := v_succeeded;
  v_after.failed_scrapes := v_total - v_succeeded;
  v_after.carousel_posts_processed := v_carousels;
  v_after.slides_downloaded :=
    coalesce((v_before.metrics #>> '{slide_files,downloaded}')::integer, 0);
  v_after.slides_uploaded :=
    coalesce((v_before.metrics #>> '{slide_files,uploaded}')::integer, 0);
  -- Sheets that could not be read or written, by name.
  v_sheets_failed := coalesce(v_before.failures #> '{sheet_rows,sheets_failed}', '{}')
    || coalesce(v_before.failures #> '{sheet_status,sheets_failed}', '{}');
  v_after.error_message := coalesce(nullif(p ->> 'error', ''), nullif(concat_ws('; ',
    (
      select string_agg(format('%s: %s', f.key, f.value), '; ' order by f.key)
      from jsonb_each_text(v_sheets_failed) as f
    ),
    case when v_unfinished > 0 then format('%s due units are unfinished: %s', v_unfinished, v_kinds)
    end), ''));
  v_after.status := case
    when v_after.error_message is null then 'completed'
    when v_succeeded = 0 then 'failed'
    else 'partial'
  end;
  if v_before.batch_completed_at is null or v_after is distinct from v_before then
    v_after.batch_completed_at := clock_timestamp();
    v_after.duration_seconds :=
      round(extract(epoch from v_after.batch_completed_at - v_before.batch_started_at), 3);
    update public.scraping_logs as l set
      batch_completed_at = v_after.batch_completed_at,
      duration_seconds = v_after.duration_seconds,
      total_urls = v_after.total_urls,
      successful_scrapes = v_after.successful_scrapes,
      failed_scrapes = v_after.failed_scrapes,
      carousel_posts_processed = v_after.carousel_posts_processed,
      slides_downloaded = v_after.slides_downloaded,
      slides_uploaded = v_after.slides_uploaded,
      status = v_after.status,
      error_message = v_after.error_message
    where l.batch_id = v_batch_id;
  end if;

  return jsonb_build_object(
    'batch_id', v_batch_id, 'partition_date', v_after.partition_date, 'status', v_after.status,
    'duration_seconds', v_after.duration_seconds, 'urls_processed', v_total,
    'succeeded', v_succeeded, 'unavailable', v_unavailable, 'expired', v_expired,
    'unfinished', v_unfinished, 'waiting', v_waiting, 'slides_downloaded', v_after.slides_downloaded,
    'slides_uploaded', v_after.slides_uploaded,
    'bytes_downloaded', coalesce((v_before.metrics #>> '{slide_files,bytes}')::bigint, 0),
    'errors', private.list_units(v_listed), 'sheets_failed', v_sheets_failed,
    'repeated', private.repeated_rows(v_batch_id, v_limit),
    'elsewhere', private.units_elsewhere(v_sources)
  );
end
$$;

-- {} -> {version}: the number of the newest applied migration. Each migration replaces this
-- function.
create function public.schema_version(p jsonb default '{}') returns jsonb
language sql immutable
set search_path = ''
as $$ select jsonb_build_object('version', 14) $$;

comment on type private.due_unit is 'A unit that is due and not done; used in unfinished_units and close_batch.';
comment on function public.open_batch(jsonb) is '{batch_id, source_type, source_reference, partition_date, run_id} -> {opened}.';
comment on function private.renew_heartbeat(uuid) is 'Helper of open_batch, claim_units and extend_leases: renews the heartbeat of a batch.';
comment on function private.close_dead_batches() is 'Helper of open_batch: closes the batches of killed runs as failed.';
comment on function public.record_stage(jsonb) is '{batch_id, stage, metrics, failures?} -> {}: records the totals of a stage.';
comment on function private.due_units(date, text, text[]) is 'Helper of unfinished_units and close_batch: units that are due and not done.';
comment on function private.list_units(bigint[]) is 'Helper of unfinished_units and close_batch: units as reports list them.';
comment on function private.units_elsewhere(text[]) is 'Helper of units_elsewhere and close_batch: counts the rows of other sheets.';
comment on function public.units_elsewhere(jsonb) is '{sources} -> {sheets}: how many rows wait for sheets that the caller does not read.';
comment on function private.repeated_rows(uuid, integer) is 'Helper of close_batch: rows whose post was already named by an earlier row.';
comment on function public.unfinished_units(jsonb) is '{due_date, timezone, sources, limit} -> {count, leased, waiting, units}.';
comment on function public.close_batch(jsonb) is '{batch_id, timezone, sources, limit, error} -> the summary of the batch, which is also written to scraping_logs.';
comment on function public.schema_version(jsonb) is '{} -> {version}: the newest applied migration.';

revoke all on function public.open_batch(jsonb), public.record_stage(jsonb),
  private.renew_heartbeat(uuid), private.close_dead_batches(),
  private.due_units(date, text, text[]), private.list_units(bigint[]), private.repeated_rows(uuid, integer),
  public.unfinished_units(jsonb), public.units_elsewhere(jsonb),
  private.units_elsewhere(text[]),
  public.close_batch(jsonb), public.schema_version(jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.open_batch(jsonb), public.record_stage(jsonb),
  private.renew_heartbeat(uuid), private.close_dead_batches(),
  private.due_units(date, text, text[]), private.list_units(bigint[]), private.repeated_rows(uuid, integer),
  public.unfinished_units(jsonb), public.units_elsewhere(jsonb),
  private.units_elsewhere(text[]),
  public.close_batch(jsonb), public.schema_version(jsonb)
  to service_role;
