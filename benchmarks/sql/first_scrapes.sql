-- A chunk of first looks that is ready to be written: pages as TikTok gives them, slides in the
-- bucket, leased to the owner. Parameters: owner, today, first_id, posts, slides (of each post).
insert into public.scrape_units (
  source, source_key, slot, due_date, state, outcome, tiktok_id, is_carousel, batch_id, details, post,
  slides, claim_id, leased_by, lease_until
)
select 'benchmark', p.url, 0, %(today)s, 'stored', 'scraped', p.tiktok_id, true, %(owner)s,
  jsonb_build_object('va_url', p.url || '?is_from_webapp=1', 'va', 'VA 7',
    'creator', 'Creator 7', 'set_id', 7, 'post_type', 'NEW', 'copies', 1),
  jsonb_build_object(
    'tiktok_id', p.tiktok_id, 'post_url', p.url, 'account', 'account7',
    'account_verified', false, 'followers', 12000, 'posted_at', %(today)s::timestamptz,
    'description',
    repeat('A caption of ordinary length, with #two #tags and a little more text. ', 2),
    'hashtags', jsonb_build_array('two', 'tags', 'fyp'), 'mentions', jsonb_build_array(),
    'sound', 'original sound',
    'sound_url', 'https://www.tiktok.com/music/original-sound-7400000000000000000',
    'metrics', jsonb_build_object('views', 1000, 'likes', 100, 'comments', 10, 'shares', 5,
      'bookmarks', 3),
    'slides', jsonb_agg(jsonb_build_object('number', slide.number, 'width', 1080, 'height', 1440,
      'image_key', slide.image_key,
      'mirrors', jsonb_build_array(
        'https://p16-common-sign.tiktokcdn-eu.com' || slide.address,
        'https://p19-common-sign.tiktokcdn-eu.com' || slide.address),
      'expires_at', %(today)s::timestamptz + interval '2 days') order by slide.number),
    'scraped_at', %(today)s::timestamptz + interval '12 hours', 'scraping_method', 'page',
    'data_quality', 'complete'
  ),
  jsonb_agg(jsonb_build_object('slide_number', slide.number,
    'slide_url', 'https://p16-common-sign.tiktokcdn-eu.com' || slide.address,
    'storage_path', slide.path,
    'public_url',
    'https://example.supabase.co/storage/v1/object/public/tiktok-slides/' || slide.path,
    'file_size', 150000, 'width', 1080, 'height', 1440, 'mime_type', 'image/jpeg',
    'content_hash', slide.image_key || slide.image_key, 'image_key', slide.image_key,
    'downloaded_at', %(today)s::timestamptz, 'uploaded_at', %(today)s::timestamptz)
    order by slide.number),
  gen_random_uuid(), %(owner)s, now() + interval '10 minutes'
from (
  select i::text as tiktok_id, 'https://www.tiktok.com/@account7/photo/' || i as url
  from generate_series(%(first_id)s::bigint, %(first_id)s::bigint + %(posts)s - 1) as i
) as p
cross join generate_series(1, %(slides)s) as number
cross join lateral (
  select number, key as image_key,
    '/tos-maliva-i-photomode-us/' || key
      || '~tplv-photomode-image.jpeg?dr=9616&x-expires=1794913200&x-signature=' || md5(key)
      as address,
    p.tiktok_id || '/' || lpad(number::text, 2, '0') || '-' || left(key, 16) || '.jpeg' as path
  from md5(p.tiktok_id || '/' || number) as key
) as slide
group by p.tiktok_id, p.url
returning id;
