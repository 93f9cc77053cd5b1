-- Posts of the last five days are still looked at; of the others one in fifty is gone. A person has
-- paused one in five hundred.
insert into public.tiktok_posts (
  id, tiktok_id, va_url, post_url, created_date, creator, set_id, set_code, va, post_type, account,
  logged_at, first_scraped_at, last_scraped_at, views, likes, comments, shares, followers,
  hashtags, sound, sound_url, slide_count, day1_views, day2_views, day3_views, day4_views,
  day5_views, scrape_status, scrape_count, days_since_posted, slides, post_description,
  account_verified, bookmarks, scraped_at, scraping_method, data_quality, batch_id
)
overriding system value
select p.id, p.tiktok_id, p.post_url || '?is_from_webapp=1', p.post_url, p.created_date, p.creator,
  p.set_id, 'CREA_' || lpad(p.set_id::text, 3, '0'), p.va, 'NEW', p.account, p.looked_at,
  p.looked_at, p.last_scrape, p.views, p.views / 10, p.views / 100,
  p.views / 200, (benchmark.share(p.id, 6) * 1000000)::bigint, array['fyp', 'carousel', 'skincare'],
  'original sound', 'https://www.tiktok.com/music/original-sound-7400000000000000000',
  p.slide_count, p.views / 5, p.views / 4, p.views / 3, p.views / 2, p.views,
  case
    when p.id % 500 = 2 then 'paused'
    when p.created_date >= (select today from benchmark.size) - 5 then 'active'
    when p.id % 50 = 1 then 'unavailable'
    else 'completed'
  end,
  5, 4,
  (
    select coalesce(jsonb_agg('https://example.supabase.co/storage/v1/object/public/tiktok-slides/'
      || p.tiktok_id || '/' || lpad(n::text, 2, '0') || '-' || left(md5(p.id || '/' || n), 16)
      || '.jpeg' order by n), '[]')
    from generate_series(1, p.slide_count) as n
  ),
  repeat('A caption of ordinary length, with #two #tags and a little more text. ', 2), false,
  p.views / 300, p.last_scrape, 'page', 'complete', p.batch_id
from benchmark.posts as p;
