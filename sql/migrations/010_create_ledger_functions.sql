-- The ledger's functions. Each takes one jsonb, returns one jsonb, is one transaction, and may be
-- called again: a repeated call changes nothing. Only the secret key may call them. `owner` is the
-- batch that calls. A unit is free unless a batch holds a valid lease on it.
--
-- Concurrent calls never deadlock, because all take their locks in one order: new units by key,
-- then units by id, then posts by tiktok_id. A statement that changes several of them locks them
-- with `order by … for update` first, or skips those that are locked. Only persist_units creates
-- posts and daily units, one call at a time.

-- {timezone} -> {now, today, is_sandbox, ahead_seconds}: the database's clock, and today in that
-- time zone. Only a sandbox's clock can be ahead of the real one.
create function public.database_clock(p jsonb) returns jsonb
language plpgsql stable
set search_path = ''
as $$
begin
  if p ->> 'timezone' is null then
    raise exception 'database_clock needs timezone' using errcode = '22023';
  end if;
  return jsonb_build_object('now', private.current_instant(),
    'today', private.current_day(p ->> 'timezone'),
    'is_sandbox', to_regnamespace('sandbox') is not null,
    'ahead_seconds', extract(epoch from private.current_instant() - now()));
end
$$;

-- {source, batch_id, timezone, read_at, rows: [{source_key, details, tiktok_id?, problems}]}
-- -> {opened, reopened, updated, already_open}. Units are due today.
-- `read_at`: database_clock's `now` from just before the sheet was read; `source`: which sheet.
create function public.open_units(p jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_source constant text := p ->> 'source';
  v_batch_id constant uuid := (p ->> 'batch_id')::uuid;
  v_due_date constant date := private.current_day(p ->> 'timezone');
  v_read_at constant timestamptz := (p ->> 'read_at')::timestamptz;
  v_rows jsonb;
  v_open integer;
  v_opened integer;
  v_reopened integer;
  v_updated integer;
  v_corrected integer;
begin
  if v_source is null or v_batch_id is null or v_due_date is null or v_read_at is null then
    raise exception 'open_units needs source, batch_id, timezone and read_at'
      using errcode = '22023';
  end if;

  -- The new values, one unit per key: of two rows with the same key, the first wins.
  select coalesce(jsonb_agg(to_jsonb(g) order by g.source_key), '[]') into v_rows
  from (
    select distinct on (r.source_key) r.source_key, r.details, r.tiktok_id,
      e.problems is not null as invalid, e.problems as error,
      case when e.problems is null then 'pending' else 'persisted' end as state,
      case when e.problems is not null then 'unavailable' end as outcome,
      case when e.problems is not null then 'invalid_row' end as error_kind
    from rows from (
      jsonb_to_recordset(p -> 'rows')
        as (source_key text, details jsonb, tiktok_id text, problems jsonb)
    ) with ordinality as r (source_key, details, tiktok_id, problems, place)
    cross join lateral (
      select string_agg(problem, '; ' order by nth)
      from jsonb_array_elements_text(
        case when jsonb_typeof(r.problems) = 'array' then r.problems else '[]' end
      ) with ordinality as x (problem, nth)
    ) as e (problems)
    order by r.source_key, r.place
  ) as g;

  -- Existing units are left out here and not left to `on conflict`: a conflict waits for the
  -- transaction that is changing the row.
  insert into public.scrape_units as u
    (source, source_key, slot, due_date, state, outcome, error_kind, error, tiktok_id, details,
      batch_id)
  select v_source, g.source_key, 0, v_due_date, g.state, g.outcome, g.error_kind, g.error, g.tiktok_id,
    g.details, v_batch_id
  from jsonb_to_recordset(v_rows) as g (source_key text, state text, outcome text,
    error_kind text, error text, tiktok_id text, details jsonb)
  where not exists (
    select from public.scrape_units as known
    where known.source_key = g.source_key and known.source = v_source and known.slot = 0
  )
  order by g.source_key
  on conflict (source_key, source) where slot = 0 do nothing;
  get diagnostics v_opened = row_count;

  -- After the insert, so that units which another call has just inserted are locked too.
  perform 1
  from public.scrape_units as u
  join jsonb_to_recordset(v_rows) as g (source_key text) on g.source_key = u.source_key
  where u.source = v_source and u.slot = 0
  order by u.id
  for update of u;

  -- A row that was read before its outcome was written still looks ready: leave its unit alone.
  update public.scrape_units as u
  set due_date = v_due_date, state = g.state, outcome = g.outcome, attempts = 0,
    counted_at = null, next_try_at = null,
    error_kind = g.error_kind, error = g.error, note = null, is_carousel = false,
    tiktok_id = coalesce(g.tiktok_id, u.tiktok_id), details = g.details,
    is_origin = u.is_origin and coalesce(g.tiktok_id, u.tiktok_id) = u.tiktok_id,
    batch_id = v_batch_id, failed_batch_id = null, opened_at = private.current_instant(),
    finished_at = null
  from jsonb_to_recordset(v_rows) as g (source_key text, state text, outcome text,
    error_kind text, error text, tiktok_id text, details jsonb)
  where u.source_key = g.source_key and u.source = v_source and u.slot = 0
    and u.state = 'done' and u.finished_at < v_read_at;
  get diagnostics v_reopened = row_count;

  -- A VA corrected a row that no run works on yet, or made a row invalid while its unit was in
  -- progress.
  update public.scrape_units as u
  set due_date = v_due_date, state = g.state, outcome = g.outcome, attempts = 0,
    counted_at = null, next_try_at = null,
    error_kind = g.error_kind, error = g.error, note = null, unanswered_since = null,
    is_carousel = false,
    tiktok_id = coalesce(g.tiktok_id, u.tiktok_id), details = g.details, post = null,
    is_origin = u.is_origin and coalesce(g.tiktok_id, u.tiktok_id) = u.tiktok_id,
    slides = null, batch_id = v_batch_id, failed_batch_id = null,
    opened_at = private.current_instant(),
    claim_id = null, leased_by = null, lease_until = null
  from jsonb_to_recordset(v_rows) as g (source_key text, state text, outcome text,
    error_kind text, error text, tiktok_id text, details jsonb, invalid boolean)
  where u.source_key = g.source_key and u.source = v_source and u.slot = 0
    and (u.lease_until is null or u.lease_until <= now())
    and (u.state = 'pending' or (u.state = 'persisted' and u.error_kind = 'invalid_row')
      or ((u.state in ('scraped', 'stored') or u.unanswered_since is not null) and g.invalid))
    and (
      u.details is distinct from g.details
      or (u.state = 'persisted') is distinct from g.invalid
      or (u.state = 'persisted' and u.error is distinct from g.error)
    );
  get diagnostics v_updated = row_count;

  -- A VA corrected a row after its page was read, because the database had rejected the post or
  -- because the row could not be written back. The scraped post and its slides are still right, so
  -- the stage that failed is tried again with the new details.
  update public.scrape_units as u
  set details = g.details, attempts = 0, counted_at = null, next_try_at = null,
    state = case when u.state = 'persisted' then 'stored' else u.state end,
    unanswered_since = null, batch_id = v_batch_id, failed_batch_id = null,
    error_kind = case when u.outcome = 'unavailable' then u.error_kind end,
    error = case when u.outcome = 'unavailable' then u.error end, note = null,
    claim_id = null, leased_by = null, lease_until = null
  from jsonb_to_recordset(v_rows) as g (source_key text, details jsonb, invalid boolean)
  where u.source_key = g.source_key and u.source = v_source and u.slot = 0 and not g.invalid
    and (u.lease_until is null or u.lease_until <= now())
    and (u.state in ('scraped', 'stored') or u.unanswered_since is not null)
    and u.details is distinct from g.details;
  get diagnostics v_corrected = row_count;
  v_updated := v_updated + v_corrected;

  select count(*) into v_open
  from public.scrape_units as u
  join jsonb_to_recordset(v_rows) as g (source_key text) on g.source_key = u.source_key
  where u.source = v_source and u.slot = 0 and u.state <> 'done';
  return jsonb_build_object('opened', v_opened, 'reopened', v_reopened, 'updated', v_updated,
    'already_open', v_open - v_opened - v_reopened - v_updated);
end
$$;

-- {state, due_date, timezone, sources, owner, claim_id, limit, lease_seconds} -> {units, expired,
-- leased} `sources`: the sheets of the caller, which claims only their rows. Daily scrapes are
-- shared. A `due_date` in the future claims what today's run may: it names the run and does not
-- move the clock. `leased`: due units in that state that other batches hold. Counted only if fewer
-- than `limit` could be claimed, else 0.
create function public.claim_units(p jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_state constant text := p ->> 'state';
  v_today constant date := private.current_day(p ->> 'timezone');
  v_due_date constant date := least((p ->> 'due_date')::date, v_today);
  v_sources constant text[] := private.parse_sources(p);
  v_owner constant uuid := (p ->> 'owner')::uuid;
  v_claim_id constant uuid := (p ->> 'claim_id')::uuid;
  v_limit constant integer := (p ->> 'limit')::integer;
  v_lease_until constant timestamptz :=
    now() + make_interval(secs => (p ->> 'lease_seconds')::double precision);
  v_ids bigint[];
  v_expired integer := 0;
  v_leased integer := 0;
  v_units jsonb;
begin
  if v_state is null or v_state not in ('pending', 'scraped', 'stored', 'persisted')
    or p ->> 'due_date' is null or v_today is null or v_sources is null or v_owner is null
    or v_claim_id is null or v_limit is null or v_lease_until is null
  then
    raise exception 'claim_units needs state, due_date, timezone, sources, owner, claim_id, limit '
      'and lease_seconds' using errcode = '22023';
  end if;

  -- The response to this call was lost: return the same units again.
  with held as (
    select u.id from public.scrape_units as u
    where u.leased_by = v_owner and u.claim_id = v_claim_id and u.state = v_state
      and u.lease_until > now()
    order by u.id
    for update of u
  ), again as (
    update public.scrape_units as u set lease_until = v_lease_until
    from held
    where u.id = held.id
    returning u.id
  )
  select array_agg(again.id) into v_ids from again;

  if v_ids is null then
    if v_state = 'pending' then
      v_expired := private.expire_units(v_owner, v_today);
    end if;

    with due as (
      select u.id
      from public.scrape_units as u
      where u.state = v_state and u.state in ('pending', 'scraped', 'stored', 'persisted')
        and u.due_date <= v_due_date and (u.lease_until is null or u.lease_until <= now())
        and (u.slot > 0 or u.source = any (v_sources))
        and (u.next_try_at is null or u.next_try_at <= private.current_instant())
        and u.failed_batch_id is distinct from v_owner
        and (
          u.slot = 0 or u.state <> 'pending' or (
            u.due_date = v_today
            and not exists (
              select from public.tiktok_posts as t
              where t.tiktok_id = u.tiktok_id and t.scrape_status = 'paused'
            )
          )
        )
      -- Units that failed before come last: a run stops after ten unreadable posts in a row, and
      -- would otherwise start with the same ten every time and never reach the others.
      order by u.attempts, u.due_date, u.slot, u.id
      limit v_limit
      for update of u skip locked
    ), claimed as (
      update public.scrape_units as u
      -- Trying again to write back a row does not count for the batch until it succeeds.
      set batch_id = case when u.unanswered_since is null then v_owner else u.batch_id end,
        leased_by = v_owner, claim_id = v_claim_id,
        lease_until = v_lease_until
      from due
      where u.id = due.id
      returning u.id
    )
    select coalesce(array_agg(claimed.id), '{}') into v_ids from claimed;

    if cardinality(v_ids) < v_limit then
      select count(*) into v_leased
      from public.scrape_units as u
      where u.state = v_state and u.state in ('pending', 'scraped', 'stored', 'persisted')
        and u.due_date <= v_due_date and u.lease_until > now() and u.leased_by <> v_owner
        and (u.slot > 0 or u.source = any (v_sources));
    end if;
  end if;

  select coalesce(jsonb_agg(jsonb_build_object(
    'id', u.id, 'source', u.source, 'source_key', u.source_key, 'slot', u.slot, 'due_date', u.due_date,
    'state', u.state, 'outcome', u.outcome, 'attempts', u.attempts,
    'is_last_try', u.attempts + 1 >= private.max_attempts() and private.may_count(u.counted_at),
    'error_kind', u.error_kind, 'error', u.error, 'tiktok_id', u.tiktok_id,
    -- A known carousel does not become a video because one page lacks its slides.
    'is_photo', u.is_photo_url or exists (
      select from public.tiktok_posts as t
      where t.tiktok_id = u.tiktok_id and (t.slide_count > 0 or t.post_url like '%/photo/%')
    ),
    'unanswered_since', u.unanswered_since,
    'details', u.details, 'post', u.post, 'slides', coalesce(u.slides, '[]'),
    'known_slides', case when v_state = 'scraped' then private.known_slides(u.tiktok_id)
      else '[]' end
  ) order by u.attempts, u.due_date, u.slot, u.id), '[]') into v_units
  from public.scrape_units as u
  where u.id = any (v_ids);
  perform private.renew_heartbeat(v_owner);
  return jsonb_build_object('units', v_units, 'expired', v_expired, 'leased', v_leased);
end
$$;

-- Expires daily units that were not scraped on their day, oldest first and at most 5,000 a call:
-- after a week without a run there are many, and a call must end in time. Meanwhile no run can
-- claim the others. Their dayN_views stay NULL: a late number in that column would be false.
create function private.expire_units(owner uuid, today date) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_expired integer;
  v_last_scrapes text[];
begin
  with late as (
    select u.id
    from public.scrape_units as u
    where u.state <> 'done' and u.outcome is null and u.slot > 0 and u.due_date < today
      and (u.lease_until is null or u.lease_until <= now())
    order by u.due_date, u.slot, u.id
    limit 5000
    for update of u skip locked
  ), expired as (
    update public.scrape_units as u
    set state = 'done', outcome = 'expired', error_kind = 'expired',
      error = 'not scraped on its day', finished_at = private.current_instant(), batch_id = owner,
      post = null, slides = null, details = null,
      claim_id = null, leased_by = null, lease_until = null
    from late
    where u.id = late.id
    returning u.slot, u.tiktok_id
  )
  select count(*), array_agg(expired.tiktok_id) filter (where expired.slot = 5)
  into v_expired, v_last_scrapes
  from expired;

  perform private.complete_posts(v_last_scrapes);
  return v_expired;
end
$$;

-- Completes posts whose daily scrapes are over. A post that a user paused stays paused.
create function private.complete_posts(tiktok_ids text[]) returns void
language sql
set search_path = ''
as $$
  with over as (
    select t.id from public.tiktok_posts as t
    where t.tiktok_id = any (tiktok_ids) and t.scrape_status = 'active'
    order by t.tiktok_id
    for no key update of t
  )
  update public.tiktok_posts as t set scrape_status = 'completed'
  from over
  where t.id = over.id
$$;

-- The stored slides of a post, as the pipeline's StoredSlide. TikTok names an image by 32 hex
-- characters before the "~" of its URL: the same name is the same image.
create function private.known_slides(tiktok_id text) returns jsonb
language sql stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'slide_number', s.slide_number, 'slide_url', s.slide_url,
    'storage_path', s.storage_path, 'public_url', s.public_url, 'file_size', s.file_size,
    'width', s.width, 'height', s.height, 'mime_type', s.mime_type,
    'content_hash', s.content_hash, 'downloaded_at', s.downloaded_at,
    'uploaded_at', s.uploaded_at,
    'image_key', substring(s.slide_url from '/([0-9a-f]{32})~')
  ) order by s.slide_number), '[]')
  from public.tiktok_posts as t
  join public.tiktok_slides as s on s.post_id = t.id
  where t.tiktok_id = known_slides.tiktok_id
$$;

-- {owner, lease_seconds} -> {extended}: also leases that ended, if no other batch claimed the unit.
-- This is also the batch's heartbeat, whether it holds units or not.
create function public.extend_leases(p jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_extended integer;
begin
  with held as (
    select u.id from public.scrape_units as u
    where u.leased_by = (p ->> 'owner')::uuid
    order by u.id
    for update of u
  )
  update public.scrape_units as u
  set lease_until = now() + make_interval(secs => (p ->> 'lease_seconds')::double precision)
  from held
  where u.id = held.id;
  get diagnostics v_extended = row_count;
  perform private.renew_heartbeat((p ->> 'owner')::uuid);
  return jsonb_build_object('extended', v_extended);
end
$$;

-- {owner} -> {released}: frees the units at once, without counting an attempt.
create function public.release_leases(p jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_released integer;
begin
  with held as (
    select u.id from public.scrape_units as u
    where u.leased_by = (p ->> 'owner')::uuid
    order by u.id
    for update of u
  )
  update public.scrape_units as u
  set claim_id = null, leased_by = null, lease_until = null
  from held
  where u.id = held.id;
  get diagnostics v_released = row_count;
  return jsonb_build_object('released', v_released);
end
$$;

comment on function public.database_clock(jsonb) is '{timezone} -> {now, today, is_sandbox, ahead_seconds}: the clock that decides which day it is.';
comment on function public.open_units(jsonb) is '{source, batch_id, timezone, read_at, rows} -> {opened, reopened, updated, already_open}: opens one slot-0 unit per ready row.';
comment on function public.claim_units(jsonb) is '{state, due_date, timezone, sources, owner, claim_id, limit, lease_seconds} -> {units, expired, leased}: leases units that are due; those that failed before come last.';
comment on function private.expire_units(uuid, date) is 'Helper of claim_units: expires daily units whose day has passed.';
comment on function private.complete_posts(text[]) is 'Helper of the ledger''s functions: completes posts whose daily scrapes are over.';
comment on function private.known_slides(text) is 'Helper of claim_units: the stored slides of a post.';
comment on function public.extend_leases(jsonb) is '{owner, lease_seconds} -> {extended}.';
comment on function public.release_leases(jsonb) is '{owner} -> {released}.';

revoke all on function public.database_clock(jsonb), public.open_units(jsonb),
  public.claim_units(jsonb),
  private.expire_units(uuid, date), private.complete_posts(text[]), private.known_slides(text),
  public.extend_leases(jsonb), public.release_leases(jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.database_clock(jsonb), public.open_units(jsonb),
  public.claim_units(jsonb),
  private.expire_units(uuid, date), private.complete_posts(text[]), private.known_slides(text),
  public.extend_leases(jsonb), public.release_leases(jsonb)
  to service_role;
