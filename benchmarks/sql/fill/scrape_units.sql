-- Six looks a post. Those of today and later are pending, the others are done.
insert into public.scrape_units (
  source, source_key, slot, due_date, state, outcome, tiktok_id, is_carousel, batch_id, opened_at,
  finished_at
)
select case slot when 0 then 'benchmark' end, case slot when 0 then p.post_url else p.tiktok_id end, slot, p.created_date + slot,
  case when look.over then 'done' else 'pending' end,
  case when look.over then 'scraped' end,
  p.tiktok_id, p.slide_count > 0,
  case when look.over then md5((p.created_date + slot)::text)::uuid end,
  p.looked_at, case when look.over then p.looked_at + interval '1 day' * slot end
from benchmark.posts as p
cross join (values (0), (1), (2), (3), (4), (5)) as s (slot)
cross join lateral (
  select p.created_date + slot < (select today from benchmark.size) as over
) as look;
