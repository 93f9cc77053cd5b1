-- What users and dashboards look posts up by. tiktok_id, post_url, (post_id, slide_number) and
-- batch_id have the indexes of their unique constraints.
-- No index holds a column that every scrape changes (metrics, times, counters): each daily scrape
-- would have to write every index of the table again.

-- URLs as typed can be of any length, which a b-tree rejects. Only equality is queried.
create index tiktok_posts_va_url_idx on public.tiktok_posts using hash (va_url);
create index tiktok_posts_creator_idx on public.tiktok_posts (creator, created_date desc);
create index tiktok_posts_va_idx on public.tiktok_posts (va, created_date desc);
create index tiktok_posts_account_idx on public.tiktok_posts (account, created_date desc);
create index tiktok_posts_scrape_status_idx
  on public.tiktok_posts (scrape_status, created_date desc);
-- The order in which dashboards page: supabase-js sends `order=created_date.desc,id.desc`, which is
-- nulls first, and so is this index.
create index tiktok_posts_created_date_idx on public.tiktok_posts (created_date desc, id desc);

create index scraping_logs_partition_date_idx
  on public.scraping_logs (partition_date desc, batch_started_at desc);
create index scraping_logs_batch_started_at_idx on public.scraping_logs (batch_started_at desc);
