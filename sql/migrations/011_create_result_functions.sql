-- The results of each stage. A result counts only if it comes from the batch that holds the unit,
-- and if the unit is still in the state that the work began from. All others are returned in
-- `ignored`. So a worker that lost its lease, or a call that is sent twice, changes nothing.

-- `attempts` counts the failed attempts of a unit's current stage and is 0 again when the unit
-- moves on. A retry with `counted` false leaves it: a rejection by TikTok says nothing about the
-- post. A failure that may be the post's own is counted, at most once an hour, and the next attempt
-- waits.

-- {owner, timezone, results: [{unit_id, result, tiktok_id?, is_photo?, post?, counted?,
-- error_kind?, error?}]} -> {recorded, ignored}; result: scraped, unavailable or retry.
create function public.record_scrapes(p jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_owner constant uuid := (p ->> 'owner')::uuid;
  v_today constant date := private.current_day(p ->> 'timezone');
  v_recorded bigint[];
  v_last_scrapes text[];
begin
  if v_owner is null or v_today is null or exists (
    select from jsonb_to_recordset(p -> 'results')
      as r (unit_id bigint, result text, tiktok_id text, post jsonb)
    where r.unit_id is null or r.result is null
      or r.result not in ('scraped', 'unavailable', 'retry')
      or (r.result = 'scraped'
        and (r.tiktok_id is null or jsonb_typeof(r.post) is distinct from 'object'))
  ) then
    raise exception 'record_scrapes needs owner, timezone and results; a result needs unit_id and '
      'result, a scraped one also tiktok_id and post' using errcode = '22023';
  end if;

  with given as (
    select distinct on (r.unit_id) r.*
    from jsonb_to_recordset(p -> 'results') as r (unit_id bigint, result text,
      tiktok_id text, is_photo boolean, post jsonb, counted boolean, error_kind text, error text)
    order by r.unit_id
  ), judged as (
    -- A daily scrape that happened after midnight belongs to no day.
    select g.*,
      case when g.result = 'scraped' and u.slot > 0 and u.due_date <> v_today then 'late'
        else g.result end as verdict,
      coalesce(g.counted, true) and private.may_count(u.counted_at) as counts
    from given as g
    join public.scrape_units as u on u.id = g.unit_id
    where u.leased_by = v_owner and u.state = 'pending'
    order by u.id
    for update of u
  ), recorded as (
    update public.scrape_units as u set
      state = case j.verdict when 'scraped' then 'scraped' when 'unavailable' then 'stored'
        when 'late' then 'done' else 'pending' end,
      outcome = case j.verdict when 'scraped' then 'scraped'
        when 'unavailable' then 'unavailable' when 'late' then 'expired' end,
      tiktok_id = case when u.slot = 0 then coalesce(j.tiktok_id, u.tiktok_id)
        else u.tiktok_id end,
      is_photo_url = coalesce(j.is_photo, false)
        or (u.is_photo_url and coalesce(j.tiktok_id = u.tiktok_id, true)),
      -- The link leads to another post now, so the row is no longer the origin of the old one.
      is_origin = u.is_origin and coalesce(j.tiktok_id, u.tiktok_id) = u.tiktok_id,
      post = case j.verdict when 'scraped' then j.post end,
      slides = null,
      details = case when j.verdict <> 'late' then u.details end,
      is_carousel = j.verdict = 'scraped' and coalesce(
        jsonb_typeof(j.post -> 'slides') = 'array' and j.post -> 'slides' <> '[]', false),
      attempts = case when j.verdict <> 'retry' then 0 else u.attempts + j.counts::integer end,
      counted_at = case when j.verdict <> 'retry' then null
        when j.counts then private.current_instant() else u.counted_at end,
      next_try_at = case when j.verdict <> 'retry' then null
        when coalesce(j.counted, true) then private.next_try(u.attempts + j.counts::integer,
          case when u.slot > 0 then private.end_of_day(u.due_date, p ->> 'timezone') end)
        else u.next_try_at end,
      failed_batch_id = case j.verdict when 'retry' then v_owner end,
      error_kind = case j.verdict when 'scraped' then null when 'late' then 'expired'
        else j.error_kind end,
      error = case j.verdict when 'scraped' then null when 'late' then 'not scraped on its day'
        else j.error end,
      finished_at = case j.verdict when 'late' then private.current_instant() end,
      claim_id = null, leased_by = null, lease_until = null
    from judged as j
    where u.id = j.unit_id
    returning u.id, u.slot, u.outcome, u.tiktok_id
  )
  select coalesce(array_agg(r.id), '{}'),
    array_agg(r.tiktok_id) filter (where r.outcome = 'expired' and r.slot = 5)
  into v_recorded, v_last_scrapes
  from recorded as r;
  perform private.complete_posts(v_last_scrapes);
  return private.recording_response('recorded', v_recorded, p -> 'results');
end
$$;

-- {owner, results: [{unit_id, result, slides, post?, counted?, error_kind?, error?}]}
-- -> {recorded, ignored}; result: stored; retry (slides stored so far are kept); progress (the
-- same, and the unit stays leased). `post` replaces the scraped one: it has fresh URLs.
create function public.record_slides(p jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_owner constant uuid := (p ->> 'owner')::uuid;
  v_recorded bigint[];
begin
  if v_owner is null or exists (
    select from jsonb_to_recordset(p -> 'results') as r (unit_id bigint, result text)
    where r.unit_id is null or r.result is null
      or r.result not in ('stored', 'retry', 'progress')
  ) then
    raise exception 'record_slides needs owner and results; a result needs unit_id and result'
      using errcode = '22023';
  end if;

  with given as (
    select distinct on (r.unit_id) r.*
    from jsonb_to_recordset(p -> 'results') as r (unit_id bigint, result text, slides jsonb,
      post jsonb, counted boolean, error_kind text, error text)
    order by r.unit_id
  ), held as (
    select g.*, coalesce(g.counted, true) and private.may_count(u.counted_at) as counts
    from given as g
    join public.scrape_units as u on u.id = g.unit_id
    where u.leased_by = v_owner and u.state = 'scraped'
    order by u.id
    for update of u
  ), recorded as (
    update public.scrape_units as u set
      state = case h.result when 'stored' then 'stored' else u.state end,
      slides = coalesce(h.slides, u.slides),
      post = coalesce(h.post, u.post),
      attempts = case h.result when 'stored' then 0
        when 'retry' then u.attempts + h.counts::integer else u.attempts end,
      counted_at = case when h.result = 'stored' then null
        when h.result = 'retry' and h.counts then private.current_instant()
        else u.counted_at end,
      next_try_at = case when h.result = 'stored' then null
        when h.result = 'retry' and coalesce(h.counted, true)
          then private.next_try(u.attempts + h.counts::integer)
        else u.next_try_at end,
      failed_batch_id = case h.result when 'retry' then v_owner else u.failed_batch_id end,
      error_kind = case h.result when 'retry' then h.error_kind when 'progress' then u.error_kind
        end,
      error = case h.result when 'retry' then h.error when 'progress' then u.error end,
      claim_id = case h.result when 'progress' then u.claim_id end,
      leased_by = case h.result when 'progress' then u.leased_by end,
      lease_until = case h.result when 'progress' then u.lease_until end
    from held as h
    where u.id = h.unit_id
    returning u.id
  )
  select coalesce(array_agg(recorded.id), '{}') into v_recorded from recorded;
  return private.recording_response('recorded', v_recorded, p -> 'results');
end
$$;

-- {owner, results: [{unit_id, note?, waits?}]} -> {finished, ignored}: the outcome was written
-- back, or `note` says why not. `waits`: the row still shows that it is ready, because a user has
-- to remove what blocks the cell. Such a unit is not done: if it were, every run would take the row
-- for a new request and scrape its post again. The unit keeps its payload, and later runs only try
-- to write it back.
create function public.finish_units(p jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_owner constant uuid := (p ->> 'owner')::uuid;
  v_finished bigint[];
begin
  with held as (
    select u.id, r.note, coalesce(r.waits, false) as waits
    from jsonb_to_recordset(p -> 'results') as r (unit_id bigint, note text, waits boolean)
    join public.scrape_units as u on u.id = r.unit_id
    where u.leased_by = v_owner and u.state = 'persisted'
    order by u.id
    for update of u
  ), waiting as (
    update public.scrape_units as u set
      note = held.note, failed_batch_id = v_owner, attempts = 0, counted_at = null,
      next_try_at = null,
      unanswered_since = coalesce(u.unanswered_since, private.current_instant()),
      claim_id = null, leased_by = null, lease_until = null
    from held
    where u.id = held.id and held.waits
    returning u.id
  ), finished as (
    update public.scrape_units as u set
      state = 'done', attempts = 0, counted_at = null, next_try_at = null,
      finished_at = private.current_instant(), note = held.note, unanswered_since = null,
      batch_id = v_owner,
      error_kind = case when u.outcome <> 'scraped' then u.error_kind end,
      error = case when u.outcome <> 'scraped' then u.error end,
      failed_batch_id = null, details = null, post = null, slides = null,
      claim_id = null, leased_by = null, lease_until = null
    from held
    where u.id = held.id and not held.waits
    returning u.id
  )
  select coalesce(array_agg(both_kinds.id), '{}') into v_finished
  from (select waiting.id from waiting union all select finished.id from finished) as both_kinds;
  return private.recording_response('finished', v_finished, p -> 'results');
end
$$;

create function private.recording_response(name text, recorded bigint[], results jsonb)
returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    recording_response.name, cardinality(recorded),
    'ignored', coalesce(jsonb_agg(distinct r.unit_id)
      filter (where r.unit_id <> all (recorded)), '[]')
  )
  from jsonb_to_recordset(results) as r (unit_id bigint)
$$;

comment on function public.record_scrapes(jsonb) is '{owner, timezone, results} -> {recorded, ignored}: records the scraped posts and the failures.';
comment on function public.record_slides(jsonb) is '{owner, results} -> {recorded, ignored}: records which slides are in the bucket.';
comment on function public.finish_units(jsonb) is '{owner, results} -> {finished, ignored}: ends units that were written back, and keeps those whose row still waits.';
comment on function private.recording_response(text, bigint[], jsonb) is 'Helper of the functions that record results: builds their return value.';

revoke all on function public.record_scrapes(jsonb), public.record_slides(jsonb),
  public.finish_units(jsonb),
  private.recording_response(text, bigint[], jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.record_scrapes(jsonb), public.record_slides(jsonb),
  public.finish_units(jsonb),
  private.recording_response(text, bigint[], jsonb)
  to service_role;
