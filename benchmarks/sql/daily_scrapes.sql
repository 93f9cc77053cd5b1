-- A chunk of daily looks that is ready to be written: the pages say what is known, and new figures.
-- Parameters: owner, today, posts.
update public.scrape_units as u
set state = 'stored', outcome = 'scraped', claim_id = gen_random_uuid(), batch_id = %(owner)s,
  leased_by = %(owner)s, lease_until = now() + interval '10 minutes',
  slides = private.known_slides(t.tiktok_id),
  post = jsonb_build_object(
    'tiktok_id', t.tiktok_id, 'post_url', t.post_url, 'account', t.account,
    'account_verified', false, 'followers', t.followers + 1, 'posted_at', t.logged_at,
    'description', t.post_description, 'hashtags', t.hashtags, 'mentions', jsonb_build_array(),
    'sound', t.sound, 'sound_url', t.sound_url,
    'metrics', jsonb_build_object('views', t.views + 100, 'likes', t.likes + 10,
      'comments', t.comments + 1, 'shares', t.shares + 1, 'bookmarks', t.bookmarks + 1),
    'slides', t.slides, 'scraped_at', %(today)s::timestamptz + interval '12 hours',
    'scraping_method', 'page', 'data_quality', 'complete'
  )
from public.tiktok_posts as t
where t.tiktok_id = u.tiktok_id and u.id in (
  select due.id
  from public.scrape_units as due
  where due.state = 'pending' and due.due_date = %(today)s and due.slot between 1 and 4
  order by due.slot, due.id
  limit %(posts)s
)
returning u.id;
