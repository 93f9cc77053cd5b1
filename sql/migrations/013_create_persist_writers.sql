-- The helpers of persist_units that write. All of them are set-based: one statement per table.

-- Writes units of different posts together. Raises if any of them cannot be written.
create function private.persist_chunk(unit_ids bigint[], owner uuid, time_zone text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_wrong text;
  v_payloads private.unit_payload[];
  v_posts integer;
  v_slides integer;
begin
  v_payloads := array(select l from private.unit_payloads(unit_ids, time_zone) as l order by l.unit_id);
  select format('unit %s holds the post %s instead of %s', l.unit_id,
    coalesce(l.page_tiktok_id, 'none'), coalesce(l.tiktok_id, 'none')) into v_wrong
  from unnest(v_payloads) as l
  where l.page_tiktok_id = l.tiktok_id is not true
  limit 1;
  if found then
    raise exception '%', v_wrong using errcode = '22023';
  end if;

  -- The newest scrape wins. A value that it lacks, or has as 0 or empty, keeps the older value.
  insert into public.tiktok_posts as t (
    tiktok_id, va_url, post_url, created_date, creator, set_id, set_code, va, post_type, account,
    logged_at, first_scraped_at, last_scraped_at, views, likes, comments, shares, followers,
    hashtags, sound, sound_url, slide_count, day1_views, day2_views, day3_views, day4_views,
    day5_views, scrape_count, days_since_posted, slides,
    post_description, account_verified, bookmarks, scraped_at, scraping_method, data_quality,
    batch_id
  )
  select l.tiktok_id, l.va_url, l.post_url, coalesce(l.typed_date, l.posted_on), l.creator,
    l.set_id, l.set_code, l.va, l.post_type, l.account, l.opened_at, l.scraped_at, l.scraped_at,
    l.views, l.likes, l.comments, l.shares, l.followers, l.hashtags, l.sound, l.sound_url,
    l.slide_count, case l.slot when 1 then l.views end, case l.slot when 2 then l.views end,
    case l.slot when 3 then l.views end, case l.slot when 4 then l.views end,
    case l.slot when 5 then l.views end, 1,
    case when l.posted_on is not null then greatest(l.captured_on - l.posted_on, 0) end,
    l.slide_urls, l.description, l.account_verified, l.bookmarks, l.scraped_at,
    l.scraping_method, l.data_quality, owner
  from unnest(v_payloads) as l
  order by l.tiktok_id
  on conflict (tiktok_id) do update set
    post_url = excluded.post_url,
    created_date = coalesce(t.created_date, excluded.created_date),
    account = coalesce(nullif(excluded.account, ''), t.account),
    first_scraped_at = coalesce(t.first_scraped_at, excluded.first_scraped_at),
    last_scraped_at = excluded.last_scraped_at,
    views = coalesce(nullif(excluded.views, 0), t.views, excluded.views),
    likes = coalesce(nullif(excluded.likes, 0), t.likes, excluded.likes),
    comments = coalesce(nullif(excluded.comments, 0), t.comments, excluded.comments),
    shares = coalesce(nullif(excluded.shares, 0), t.shares, excluded.shares),
    followers = coalesce(nullif(excluded.followers, 0), t.followers, excluded.followers),
    hashtags = coalesce(nullif(excluded.hashtags, '{}'), t.hashtags),
    sound = coalesce(nullif(excluded.sound, ''), t.sound),
    sound_url = coalesce(nullif(excluded.sound_url, ''), t.sound_url),
    slide_count = coalesce(nullif(excluded.slide_count, 0), t.slide_count),
    day1_views = coalesce(excluded.day1_views, t.day1_views),
    day2_views = coalesce(excluded.day2_views, t.day2_views),
    day3_views = coalesce(excluded.day3_views, t.day3_views),
    day4_views = coalesce(excluded.day4_views, t.day4_views),
    day5_views = coalesce(excluded.day5_views, t.day5_views),
    scrape_status =
      case when t.scrape_status = 'unavailable' then 'active' else t.scrape_status end,
    scrape_count = t.scrape_count + 1,
    days_since_posted = coalesce(excluded.days_since_posted, t.days_since_posted),
    post_description = coalesce(nullif(excluded.post_description, ''), t.post_description),
    account_verified = coalesce(excluded.account_verified, t.account_verified),
    bookmarks = coalesce(nullif(excluded.bookmarks, 0), t.bookmarks, excluded.bookmarks),
    scraped_at = excluded.scraped_at,
    scraping_method = coalesce(excluded.scraping_method, t.scraping_method),
    data_quality = coalesce(excluded.data_quality, t.data_quality),
    error = null,
    batch_id = excluded.batch_id
  -- The same time is the same scrape: two rows that name one post share it.
  where t.last_scraped_at is null or excluded.last_scraped_at > t.last_scraped_at;
  get diagnostics v_posts = row_count;

  -- A post belongs to the first row that named it. A later row, in any tab or sheet, does not
  -- change what a VA typed in the first one.
  update public.scrape_units as u set is_origin = true
  from unnest(v_payloads) as l
  join public.tiktok_posts as t on t.tiktok_id = l.tiktok_id
  where u.id = l.unit_id and l.slot = 0 and not u.is_origin
    and l.va_url = coalesce(t.va_url, l.va_url)
    and not exists (
      select from public.scrape_units as first
      where first.tiktok_id = l.tiktok_id and first.is_origin
    );

  update public.tiktok_posts as t set
    va_url = l.va_url,
    va = coalesce(l.va, t.va),
    creator = coalesce(l.creator, t.creator),
    set_id = coalesce(l.set_id, t.set_id),
    set_code = coalesce(
      private.set_code(coalesce(l.creator, t.creator), coalesce(l.set_id, t.set_id)), t.set_code),
    post_type = coalesce(l.post_type, t.post_type),
    created_date = coalesce(l.typed_date, t.created_date)
  from unnest(v_payloads) as l
  join public.scrape_units as u on u.id = l.unit_id and u.is_origin
  where t.tiktok_id = l.tiktok_id
    and (t.va_url is null or coalesce(l.va <> t.va, l.va is not null)
      or coalesce(l.creator <> t.creator, l.creator is not null)
      or coalesce(l.set_id <> t.set_id, l.set_id is not null)
      or coalesce(l.post_type <> t.post_type, l.post_type is not null)
      or coalesce(l.typed_date <> t.created_date, l.typed_date is not null));

  -- A day's views also count when a newer scrape was written first.
  update public.tiktok_posts as t set
    day1_views = case l.slot when 1 then l.views else t.day1_views end,
    day2_views = case l.slot when 2 then l.views else t.day2_views end,
    day3_views = case l.slot when 3 then l.views else t.day3_views end,
    day4_views = case l.slot when 4 then l.views else t.day4_views end,
    day5_views = case l.slot when 5 then l.views else t.day5_views end
  from unnest(v_payloads) as l
  where l.slot > 0 and t.tiktok_id = l.tiktok_id
    and l.views <> coalesce(
      case l.slot when 1 then t.day1_views when 2 then t.day2_views when 3 then t.day3_views
        when 4 then t.day4_views when 5 then t.day5_views end, -1);

  v_slides := private.persist_slides(v_payloads);
  perform private.persist_metrics(v_payloads);
  perform private.persist_status(unit_ids, owner);

  update public.scrape_units as u set
    state = 'persisted', attempts = 0, counted_at = null, next_try_at = null, failed_batch_id = null, note = null,
    error_kind = case when u.outcome = 'unavailable' then u.error_kind end,
    error = case when u.outcome = 'unavailable' then u.error end,
    claim_id = null, leased_by = null, lease_until = null
  where u.id = any (unit_ids);
  return jsonb_build_object('posts', v_posts, 'slides', v_slides, 'failed', '[]'::jsonb);
end
$$;

-- Writes the stored slides and deletes those beyond the last one. Returns how many were written. A
-- row that already says the same is not written again. TikTok signs its URLs again for every page,
-- so a difference after the "?" does not make another slide.
create function private.persist_slides(payloads private.unit_payload[]) returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_slides integer;
begin
  insert into public.tiktok_slides as s (
    post_id, post_url, slide_number, slide_url, storage_path, public_url, file_size, width,
    height, mime_type, content_hash, downloaded_at, uploaded_at
  )
  select t.id, l.post_url, x.slide_number, x.slide_url, x.storage_path, x.public_url,
    x.file_size, x.width, x.height, x.mime_type, x.content_hash,
    -- The later upload wins, so a time in the future would win forever.
    least(x.downloaded_at, private.current_instant()), least(x.uploaded_at, private.current_instant())
  from unnest(payloads) as l
  join public.tiktok_posts as t on t.tiktok_id = l.tiktok_id
  cross join jsonb_to_recordset(l.slides) as x (slide_number integer, slide_url text,
    storage_path text, public_url text, file_size bigint, width integer, height integer,
    mime_type text, content_hash text, downloaded_at timestamptz, uploaded_at timestamptz)
  order by t.id, x.slide_number
  on conflict (post_id, slide_number) do update set
    post_url = excluded.post_url,
    slide_url = case
      when split_part(s.slide_url, '?', 1) = split_part(excluded.slide_url, '?', 1)
        then s.slide_url
      else excluded.slide_url
    end,
    storage_path = excluded.storage_path,
    public_url = excluded.public_url,
    file_size = excluded.file_size,
    width = excluded.width,
    height = excluded.height,
    mime_type = excluded.mime_type,
    content_hash = excluded.content_hash,
    downloaded_at = excluded.downloaded_at,
    uploaded_at = excluded.uploaded_at,
    -- OCR text belongs to the image.
    ocr_text = case when s.content_hash = excluded.content_hash then s.ocr_text end,
    ocr_processed = s.content_hash = excluded.content_hash and s.ocr_processed
  where excluded.uploaded_at >= s.uploaded_at
    and (s.post_url, split_part(s.slide_url, '?', 1), s.storage_path, s.public_url,
        s.content_hash, s.file_size, s.width, s.height, s.mime_type)
      is distinct from (excluded.post_url, split_part(excluded.slide_url, '?', 1),
        excluded.storage_path, excluded.public_url, excluded.content_hash, excluded.file_size,
        excluded.width, excluded.height, excluded.mime_type);
  get diagnostics v_slides = row_count;

  delete from public.tiktok_slides as s
  using unnest(payloads) as l
  join public.tiktok_posts as t on t.tiktok_id = l.tiktok_id
  where s.post_id = t.id and t.slide_count > 0 and s.slide_number > t.slide_count;

  -- tiktok_posts.slides repeats what the table holds, also after a scrape that stored only some
  -- slides. OCR text of other slides no longer belongs to the post.
  update public.tiktok_posts as t set slides = stored.urls, ocr_text = null
  from (
    select s.post_id, jsonb_agg(s.public_url order by s.slide_number) as urls
    from public.tiktok_slides as s
    where s.post_id = any (array(
      select t.id from unnest(payloads) as l join public.tiktok_posts as t using (tiktok_id)
    ))
    group by s.post_id
  ) as stored
  where t.id = stored.post_id and t.slides <> stored.urls;
  return v_slides;
end
$$;

-- Writes the day's snapshot and, after the scrape that the sheet asked for, opens the daily units.
-- A post whose row asks again keeps the daily units that it has.
create function private.persist_metrics(payloads private.unit_payload[]) returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into public.post_metrics as m (
    post_id, captured_on, captured_at, views, likes, comments, shares, bookmarks, followers
  )
  select t.id, l.captured_on, l.scraped_at, l.views, l.likes, l.comments, l.shares,
    l.bookmarks, l.followers
  from unnest(payloads) as l
  join public.tiktok_posts as t on t.tiktok_id = l.tiktok_id
  where coalesce(l.views, l.likes, l.comments, l.shares, l.bookmarks, l.followers) is not null
  order by t.id
  on conflict (post_id, captured_on) do update set
    captured_at = excluded.captured_at,
    views = coalesce(nullif(excluded.views, 0), m.views, excluded.views),
    likes = coalesce(nullif(excluded.likes, 0), m.likes, excluded.likes),
    comments = coalesce(nullif(excluded.comments, 0), m.comments, excluded.comments),
    shares = coalesce(nullif(excluded.shares, 0), m.shares, excluded.shares),
    bookmarks = coalesce(nullif(excluded.bookmarks, 0), m.bookmarks, excluded.bookmarks),
    followers = coalesce(nullif(excluded.followers, 0), m.followers, excluded.followers)
  where excluded.captured_at > m.captured_at;

  -- No run has worked on them yet, so they belong to no batch.
  insert into public.scrape_units (source_key, slot, due_date, tiktok_id)
  select l.tiktok_id, day.slot, l.captured_on + day.slot, l.tiktok_id
  from unnest(payloads) as l
  cross join generate_series(1, 5) as day (slot)
  where l.slot = 0 and not exists (
    -- Checked here, because a conflict would wait for the transaction that changes that unit.
    -- The five are opened together, and the last one is kept when old units are pruned (017).
    select from public.scrape_units as known
    where known.source_key = l.tiktok_id and known.slot = 5
  )
  order by l.tiktok_id, day.slot
  on conflict (source_key, slot) where slot > 0 do nothing;
end
$$;

-- Marks posts as completed or unavailable. A paused post stays paused.
-- Uses lists of posts and never joins the ledger to itself: between two runs of ANALYZE the planner
-- believes that there are few pending units and that such a join is cheap.
create function private.persist_status(unit_ids bigint[], owner uuid) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_scraped text[];
  v_ended text[];
  v_gone text[];
  v_kinds text[];
  v_errors text[];
begin
  select array_agg(u.tiktok_id) filter (where u.outcome = 'scraped'),
    array_agg(u.tiktok_id) filter (where u.outcome = 'scraped' and u.slot = 5),
    array_agg(u.tiktok_id) filter (where u.outcome = 'unavailable'),
    array_agg(u.error_kind) filter (where u.outcome = 'unavailable'),
    array_agg(u.error) filter (where u.outcome = 'unavailable')
  into v_scraped, v_ended, v_gone, v_kinds, v_errors
  from public.scrape_units as u
  where u.id = any (unit_ids) and u.tiktok_id is not null;

  v_ended := v_ended || array(
    select u.source_key from public.scrape_units as u
    where u.source_key = any (v_scraped) and u.slot = 5 and u.state = 'done'
  );
  perform private.complete_posts(v_ended);
  if v_gone is null then
    return;
  end if;
  update public.tiktok_posts as t set
    scrape_status = case when t.scrape_status = 'paused' then 'paused' else 'unavailable' end,
    error = gone.error,
    batch_id = owner
  from unnest(v_gone, v_errors) as gone (tiktok_id, error)
  where t.tiktok_id = gone.tiktok_id;

  -- The remaining daily units are pointless. They do not count for this batch. A locked one is
  -- being changed by another call, which may be waiting for these posts.
  with left_over as (
    select u.id from public.scrape_units as u
    where u.source_key = any (v_gone) and u.slot > 0 and u.state = 'pending'
    for update of u skip locked
  )
  update public.scrape_units as u set
    state = 'done', outcome = 'unavailable', finished_at = private.current_instant(),
    error_kind = v_kinds[array_position(v_gone, u.source_key)],
    error = v_errors[array_position(v_gone, u.source_key)],
    details = null, post = null, slides = null,
    claim_id = null, leased_by = null, lease_until = null
  from left_over
  where u.id = left_over.id;
end
$$;

comment on function private.persist_chunk(bigint[], uuid, text) is 'Helper of persist_units: writes units of different posts.';
comment on function private.persist_slides(private.unit_payload[]) is 'Helper of persist_units: writes tiktok_slides.';
comment on function private.persist_metrics(private.unit_payload[]) is 'Helper of persist_units: writes post_metrics and opens the daily units.';
comment on function private.persist_status(bigint[], uuid) is 'Helper of persist_units: marks posts as completed or unavailable.';

revoke all on function private.persist_chunk(bigint[], uuid, text),
  private.persist_slides(private.unit_payload[]), private.persist_metrics(private.unit_payload[]),
  private.persist_status(bigint[], uuid)
  from public, anon, authenticated, service_role;
grant execute on function private.persist_chunk(bigint[], uuid, text),
  private.persist_slides(private.unit_payload[]), private.persist_metrics(private.unit_payload[]),
  private.persist_status(bigint[], uuid)
  to service_role;
