-- One row in every table, so that a test of missing rights has something to be denied. The triggers
-- add the entries of audit_log.
insert into public.tiktok_posts (id, tiktok_id, post_url) overriding system value
values (1000, '1', 'https://x/1');
insert into public.tiktok_slides (post_id, post_url, slide_number, slide_url, storage_path,
  public_url, file_size, width, height, mime_type, content_hash, downloaded_at, uploaded_at)
values (1000, 'https://x/1', 1, 'https://cdn/1', '1/01.jpeg', 'https://bucket/1', 5, 1, 1,
  'image/jpeg', repeat('a', 64), now(), now());
insert into public.post_metrics (post_id, captured_on, captured_at, views)
values (1000, '2026-03-10', now(), 1);
insert into public.scraping_logs (batch_id) values (gen_random_uuid());
insert into public.scrape_units (source, source_key, due_date) values ('sheet', 'a', '2026-03-10');
