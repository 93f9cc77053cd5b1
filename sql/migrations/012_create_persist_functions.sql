-- Writes posts, slides and metrics from the payloads in the ledger.

-- {owner, timezone, unit_ids} -> {persisted, posts_written, slides_written, failed, not_tried,
-- ignored} A post that the database rejects is returned in `failed`, and the others are written.
-- After its last attempt the unit ends, and the sheet gets the reason. Units for which there was no
-- time are returned in `not_tried`: no attempt is counted, and the caller still holds them and
-- calls again.
create function public.persist_units(p jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_owner constant uuid := (p ->> 'owner')::uuid;
  v_time_zone constant text := coalesce(p ->> 'timezone', 'UTC');
  -- Posts are written in groups: small enough that the statement timeout never hits one in the
  -- middle, large enough that the overhead of each statement is small.
  c_group constant integer := 32;
  -- Half of the statement timeout: the other half is enough to finish the group in progress.
  v_stop_at constant timestamptz := statement_timestamp() + coalesce(
    nullif(current_setting('statement_timeout')::interval, interval '0'), interval '8 seconds') / 2;
  v_given bigint[];
  v_held bigint[];
  v_group bigint[];
  v_unit bigint;
  v_written jsonb;
  v_is_first boolean := true;
  v_persisted integer := 0;
  v_posts integer := 0;
  v_slides integer := 0;
  v_failed jsonb := '[]';
  v_not_tried bigint[] := '{}';
begin
  if v_owner is null or jsonb_typeof(p -> 'unit_ids') is distinct from 'array' then
    raise exception 'persist_units needs owner and unit_ids' using errcode = '22023';
  end if;
  perform now() at time zone v_time_zone;  -- fail early: a wrong name is the caller's mistake, not a post's
  v_given := array(select distinct jsonb_array_elements_text(p -> 'unit_ids')::bigint);

  -- One call at a time creates posts: two calls that create the same posts in different orders
  -- would deadlock.
  perform pg_advisory_xact_lock(hashtextextended('dagster-tiktok: persist_units', 0));
  with held as (
    select u.id from public.scrape_units as u
    where u.id = any (v_given) and u.leased_by = v_owner and u.state = 'stored'
    order by u.id
    for update of u
  )
  select coalesce(array_agg(held.id), '{}') into v_held from held;
  perform 1
  from public.tiktok_posts as t
  where t.tiktok_id = any (array(
    select u.tiktok_id from public.scrape_units as u where u.id = any (v_held)
  ))
  order by t.tiktok_id
  for no key update of t;

  for v_group in
    select array_agg(ranked.id order by ranked.place, ranked.id)
    from (
      select u.id, dense_rank() over (order by coalesce(u.tiktok_id, ''), case
        when u.tiktok_id is null then u.id end) - 1 as place
      from public.scrape_units as u
      where u.id = any (v_held)
    ) as ranked
    group by ranked.place / c_group
    order by ranked.place / c_group
  loop
    if not v_is_first and clock_timestamp() >= v_stop_at then
      v_not_tried := v_not_tried || v_group;
      continue;
    end if;
    v_written := private.try_to_persist(v_group, v_owner, v_time_zone);
    if v_written ->> 'error' is null then
      v_is_first := false;
      v_persisted := v_persisted + cardinality(v_group);
      v_posts := v_posts + (v_written ->> 'posts')::integer;
      v_slides := v_slides + (v_written ->> 'slides')::integer;
      continue;
    end if;

    -- At least one post is rejected, so each is tried alone. That costs no more than the group did.
    foreach v_unit in array v_group loop
      if not v_is_first and clock_timestamp() >= v_stop_at then
        v_not_tried := v_not_tried || v_unit;
        continue;
      end if;
      if cardinality(v_group) > 1 then
        v_written := private.try_to_persist(array[v_unit], v_owner, v_time_zone);
      end if;
      v_is_first := false;
      if v_written ->> 'error' is null then
        v_persisted := v_persisted + 1;
        v_posts := v_posts + (v_written ->> 'posts')::integer;
        v_slides := v_slides + (v_written ->> 'slides')::integer;
      else
        perform private.fail_unit(v_unit, v_owner, v_written ->> 'error');
        v_failed := v_failed
          || jsonb_build_object('unit_id', v_unit, 'error', v_written ->> 'error');
      end if;
    end loop;
  end loop;

  return jsonb_build_object(
    'persisted', v_persisted, 'posts_written', v_posts, 'slides_written', v_slides,
    'failed', v_failed, 'not_tried', to_jsonb(v_not_tried),
    'ignored', (
      select coalesce(jsonb_agg(given.id order by given.id), '[]')
      from unnest(v_given) as given (id)
      where given.id <> all (v_held)
    )
  );
end
$$;

-- Writes all of these units, or none: {posts, slides}, or {error} if the database rejects a value.
-- Only these classes of SQLSTATE are a post's own fault: a value of the wrong type or out of range
-- (22), a constraint (23, 44), a row that is too large for an index (54000). Any other error ends
-- the call: a full disk or a missing right is no post's fault.
create function private.try_to_persist(unit_ids bigint[], owner uuid, time_zone text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_turn bigint[];
  v_written jsonb;
  v_posts integer := 0;
  v_slides integer := 0;
begin
  -- Several rows may name one post: their units are written one after the other.
  for v_turn in
    select array_agg(ranked.id order by ranked.id)
    from (
      select u.id, row_number() over (partition by coalesce(u.tiktok_id, u.id::text)
        order by u.id) as turn
      from public.scrape_units as u
      where u.id = any (unit_ids)
    ) as ranked
    group by ranked.turn
    order by ranked.turn
  loop
    v_written := private.persist_chunk(v_turn, owner, time_zone);
    v_posts := v_posts + (v_written ->> 'posts')::integer;
    v_slides := v_slides + (v_written ->> 'slides')::integer;
  end loop;
  return jsonb_build_object('posts', v_posts, 'slides', v_slides);
exception when others then
  if left(sqlstate, 2) in ('22', '23', '44') or sqlstate = '54000' then
    return jsonb_build_object('error', 'The database rejected the post: ' || left(sqlerrm, 300));
  end if;
  raise;
end
$$;

-- Records that the database rejected a unit's post.
create function private.fail_unit(unit_id bigint, owner uuid, reason text) returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.scrape_units as u set
    attempts = u.attempts + private.may_count(u.counted_at)::integer,
    counted_at = case when private.may_count(u.counted_at) then private.current_instant()
      else u.counted_at end,
    next_try_at = private.next_try(u.attempts + private.may_count(u.counted_at)::integer),
    failed_batch_id = owner,
    error_kind = case when u.outcome = 'scraped' then 'not_written' else u.error_kind end,
    error = case when u.outcome = 'scraped' then reason else u.error end,
    note = case when u.outcome = 'scraped' then u.note else reason end,
    claim_id = null, leased_by = null, lease_until = null
  where u.id = fail_unit.unit_id;

  -- A VA has to correct it: the sheet says so, instead of leaving the row ready forever.
  update public.scrape_units as u set
    state = 'persisted', outcome = 'unavailable', attempts = 0, counted_at = null,
    next_try_at = null, failed_batch_id = null, post = null, slides = null
  where u.id = fail_unit.unit_id and u.attempts >= private.max_attempts();
end
$$;

-- First four letters of the creator in capitals, "_", set id in at least three digits.
create function private.set_code(creator text, set_id integer) returns text
language sql immutable
set search_path = ''
as $$
  select nullif(upper(left(regexp_replace(set_code.creator, '[^[:alpha:]]', '', 'g'), 4)), '')
    || '_' || lpad(set_code.set_id::text, greatest(3, length(set_code.set_id::text)), '0')
$$;

-- The payload of a unit, typed: the input of the functions in 013.
create type private.unit_payload as (
  unit_id bigint, slot smallint, opened_at timestamptz, tiktok_id text, page_tiktok_id text,
  va_url text, va text, creator text, set_id integer, set_code text, post_type text,
  typed_date date, post_url text,
  account text, account_verified boolean, followers bigint, posted_on date, captured_on date,
  description text, hashtags text[], sound text, sound_url text, views bigint, likes bigint,
  comments bigint, shares bigint, bookmarks bigint, slide_count integer, slide_urls jsonb,
  slides jsonb, scraped_at timestamptz, scraping_method text, data_quality text
);
revoke all on type private.unit_payload from public;
grant usage on type private.unit_payload to service_role;

-- The payloads of these units. A value of the wrong type raises. A scrape time in the future, from
-- a clock that is ahead, becomes now: it must not open daily units, or count, on a day to come.
create function private.unit_payloads(unit_ids bigint[], time_zone text) returns setof private.unit_payload
language sql stable
set search_path = ''
as $$
  select u.id, u.slot, u.opened_at, u.tiktok_id, x.tiktok_id, d.va_url, d.va, d.creator,
    d.set_id, private.set_code(d.creator, d.set_id), d.post_type, d.created_date, x.post_url,
    x.account, x.account_verified, x.followers, (x.posted_at at time zone time_zone)::date,
    (least(x.scraped_at, private.current_instant()) at time zone time_zone)::date, x.description, coalesce(x.hashtags, '{}'),
    x.sound, x.sound_url, m.views, m.likes, m.comments, m.shares, m.bookmarks,
    jsonb_array_length(coalesce(x.slides, '[]')),
    (
      select coalesce(jsonb_agg(s.public_url order by s.slide_number), '[]')
      from jsonb_to_recordset(u.slides) as s (slide_number integer, public_url text)
    ),
    coalesce(u.slides, '[]'), least(x.scraped_at, private.current_instant()), x.scraping_method, x.data_quality
  from public.scrape_units as u
  cross join jsonb_to_record(u.post) as x (tiktok_id text, post_url text, account text,
    account_verified boolean, followers bigint, posted_at timestamptz, description text,
    hashtags text[], sound text, sound_url text, metrics jsonb, slides jsonb,
    scraped_at timestamptz, scraping_method text, data_quality text)
  cross join jsonb_to_record(coalesce(x.metrics, '{}')) as m (views bigint, likes bigint,
    comments bigint, shares bigint, bookmarks bigint)
  cross join jsonb_to_record(coalesce(u.details, '{}')) as d (va_url text, va text,
    creator text, set_id integer, post_type text, created_date date)
  where u.id = any (unit_ids) and u.outcome = 'scraped'
$$;

comment on type private.unit_payload is 'The payload of a unit, typed; passed between the persist functions.';
comment on function public.persist_units(jsonb) is '{owner, timezone, unit_ids} -> {persisted, posts_written, slides_written, failed, not_tried, ignored}: writes the posts of units whose slides are stored.';
comment on function private.try_to_persist(bigint[], uuid, text) is 'Helper of persist_units: writes units, or returns why the database rejects them.';
comment on function private.fail_unit(bigint, uuid, text) is 'Helper of persist_units: records that the database rejected a unit.';
comment on function private.unit_payloads(bigint[], text) is 'Helper of persist_units: the payload of units, typed.';
comment on function private.set_code(text, integer) is 'MIAR_007 for the creator Mia Rose and the set 7.';

revoke all on function public.persist_units(jsonb),
  private.try_to_persist(bigint[], uuid, text), private.fail_unit(bigint, uuid, text),
  private.unit_payloads(bigint[], text), private.set_code(text, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.persist_units(jsonb),
  private.try_to_persist(bigint[], uuid, text), private.fail_unit(bigint, uuid, text),
  private.unit_payloads(bigint[], text), private.set_code(text, integer)
  to service_role;
