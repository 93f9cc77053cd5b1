-- Writing posts, slides and figures from the payload of the ledger.

-- {owner, timezone, unit_ids} -> {persisted, posts_written, slides_written, failed, ignored}
-- One bad post is named in `failed`, and the others are written. At its third failure its way
-- ends: the row in the sheet is answered with the reason.
create function public.persist_units(p jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_owner constant uuid := (p ->> 'owner')::uuid;
  v_time_zone constant text := coalesce(p ->> 'timezone', 'UTC');
  v_given bigint[];
  v_held bigint[];
  v_round bigint[];
  v_written jsonb;
  v_posts integer := 0;
  v_slides integer := 0;
  v_failed jsonb := '[]';
begin
  if v_owner is null or jsonb_typeof(p -> 'unit_ids') is distinct from 'array' then
    raise exception 'persist_units needs owner and unit_ids' using errcode = '22023';
  end if;
  perform now() at time zone v_time_zone;  -- a wrong name is the caller's mistake, not a post's
  v_given := array(select distinct jsonb_array_elements_text(p -> 'unit_ids')::bigint);

  with held as (
    select u.id from public.scrape_units as u
    where u.id = any (v_given) and u.lease_owner = v_owner and u.state = 'stored'
    order by u.id
    for update of u
  )
  select coalesce(array_agg(held.id), '{}') into v_held from held;

  -- Two rows may lead to one post: such units are written one after the other.
  for v_round in
    select array_agg(ranked.id order by ranked.id)
    from (
      select u.id, row_number() over (partition by coalesce(u.tiktok_id, u.id::text)
        order by u.id) as turn
      from public.scrape_units as u
      where u.id = any (v_held)
    ) as ranked
    group by ranked.turn
    order by ranked.turn
  loop
    v_written := private.persist_or_halve(v_round, v_owner, v_time_zone);
    v_posts := v_posts + (v_written ->> 'posts')::integer;
    v_slides := v_slides + (v_written ->> 'slides')::integer;
    v_failed := v_failed || (v_written -> 'failed');
  end loop;

  return jsonb_build_object(
    'persisted', cardinality(v_held) - jsonb_array_length(v_failed),
    'posts_written', v_posts, 'slides_written', v_slides, 'failed', v_failed,
    'ignored', (
      select coalesce(jsonb_agg(given.id order by given.id), '[]')
      from unnest(v_given) as given (id)
      where given.id <> all (v_held)
    )
  );
end
$$;

-- Writes the units at once; if that fails, each half by itself, down to the unit that is bad.
create function private.persist_or_halve(unit_ids bigint[], owner uuid, time_zone text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_count constant integer := cardinality(unit_ids);
  v_left jsonb;
  v_right jsonb;
  v_error text;
begin
  begin
    return private.persist_chunk(unit_ids, owner, time_zone);
  exception when others then
    -- Connection, rollback (deadlock), rights and schema, resources, locks, operator, system,
    -- somebody's own trigger: not the post's fault.
    if left(sqlstate, 2) in ('08', '40', '42', '53', '55', '57', '58', 'P0', 'XX') then
      raise;
    end if;
    v_error := 'The database refused the post: ' || left(sqlerrm, 300);
  end;

  if v_count = 1 then
    update public.scrape_units as u set
      attempts = u.attempts + 1, failed_batch_id = owner,
      error_kind = case when u.outcome = 'scraped' then 'not_written' else u.error_kind end,
      error = case when u.outcome = 'scraped' then v_error else u.error end,
      note = case when u.outcome = 'scraped' then u.note else v_error end,
      claim_id = null, lease_owner = null, lease_until = null
    where u.id = unit_ids[1];

    -- A person has to look at it: the sheet says so, instead of a row that stays ready for ever.
    update public.scrape_units as u set
      state = 'persisted', outcome = 'unavailable', attempts = 0, failed_batch_id = null,
      post = null, slides = null
    where u.id = unit_ids[1] and u.attempts >= 3;
    return jsonb_build_object('posts', 0, 'slides', 0, 'failed',
      jsonb_build_array(jsonb_build_object('unit_id', unit_ids[1], 'error', v_error)));
  end if;

  v_left := private.persist_or_halve(unit_ids[:v_count / 2], owner, time_zone);
  v_right := private.persist_or_halve(unit_ids[v_count / 2 + 1:], owner, time_zone);
  return jsonb_build_object(
    'posts', (v_left ->> 'posts')::integer + (v_right ->> 'posts')::integer,
    'slides', (v_left ->> 'slides')::integer + (v_right ->> 'slides')::integer,
    'failed', (v_left -> 'failed') || (v_right -> 'failed')
  );
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

-- A look with its payload, typed: what the writers of 013 work on.
create type private.look as (
  unit_id bigint, slot smallint, opened_at timestamptz, tiktok_id text, page_tiktok_id text,
  va_url text, va text, creator text, set_id integer, set_code text, post_type text,
  typed_date date, post_url text,
  account text, account_verified boolean, followers bigint, posted_on date, captured_on date,
  description text, hashtags text[], sound text, sound_url text, views bigint, likes bigint,
  comments bigint, shares bigint, bookmarks bigint, slide_count integer, slide_urls jsonb,
  slides jsonb, scraped_at timestamptz, scraping_method text, data_quality text
);
revoke all on type private.look from public;
grant usage on type private.look to service_role;

-- The looks of these units. A value of the wrong type raises.
create function private.looks_of(unit_ids bigint[], time_zone text) returns setof private.look
language sql stable
set search_path = ''
as $$
  select u.id, u.slot, u.opened_at, u.tiktok_id, x.tiktok_id, d.va_url, d.va, d.creator,
    d.set_id, private.set_code(d.creator, d.set_id), d.post_type, d.created_date, x.post_url,
    x.account, x.account_verified, x.followers, (x.posted_at at time zone time_zone)::date,
    (x.scraped_at at time zone time_zone)::date, x.description, coalesce(x.hashtags, '{}'),
    x.sound, x.sound_url, m.views, m.likes, m.comments, m.shares, m.bookmarks,
    jsonb_array_length(coalesce(x.slides, '[]')),
    (
      select coalesce(jsonb_agg(s.public_url order by s.slide_number), '[]')
      from jsonb_to_recordset(u.slides) as s (slide_number integer, public_url text)
    ),
    coalesce(u.slides, '[]'), x.scraped_at, x.scraping_method, x.data_quality
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

comment on type private.look is 'A look with its payload, typed; used between the persist functions.';
comment on function public.persist_units(jsonb) is '{owner, timezone, unit_ids} -> {persisted, posts_written, slides_written, failed, ignored}: writes what is stored.';
comment on function private.persist_or_halve(bigint[], uuid, text) is 'Part of persist_units: finds the unit that cannot be written.';
comment on function private.looks_of(bigint[], text) is 'Part of persist_units: the payload of units, typed.';
comment on function private.set_code(text, integer) is 'MIAR_007 for the creator Mia Rose and the set 7.';

revoke all on function public.persist_units(jsonb),
  private.persist_or_halve(bigint[], uuid, text), private.looks_of(bigint[], text),
  private.set_code(text, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.persist_units(jsonb),
  private.persist_or_halve(bigint[], uuid, text), private.looks_of(bigint[], text),
  private.set_code(text, integer)
  to service_role;
