-- Anonymous: nothing. Signed-in: read. The secret key (service_role, which bypasses row level
-- security): write. Hosted Supabase grants everything on a new table to all three roles, so what
-- is not wanted is taken away here, and in each later migration for its own table.

alter table public.tiktok_posts enable row level security;
alter table public.tiktok_slides enable row level security;
alter table public.scraping_logs enable row level security;

revoke all on table public.tiktok_posts, public.tiktok_slides, public.scraping_logs
  from public, anon, authenticated, service_role;
revoke all on sequence
  public.tiktok_posts_id_seq, public.tiktok_slides_id_seq, public.scraping_logs_id_seq
  from public, anon, authenticated, service_role;
grant select on table public.tiktok_posts, public.tiktok_slides to authenticated;
-- All but source_reference (the URL of the sheet), error_message and failures (which quote
-- servers): only the secret key reads those. A new column is not readable until it is added here.
grant select (
    id, batch_id, batch_started_at, batch_completed_at, source_type, partition_date, run_id,
    total_urls, successful_scrapes, failed_scrapes, carousel_posts_processed, slides_downloaded,
    slides_uploaded, duration_seconds, status, metrics, heartbeat_at
  ) on table public.scraping_logs to authenticated;
grant select, insert, update, delete
  on table public.tiktok_posts, public.tiktok_slides, public.scraping_logs to service_role;

create policy "signed-in users read posts" on public.tiktok_posts
  for select to authenticated using (true);
create policy "signed-in users read slides" on public.tiktok_slides
  for select to authenticated using (true);
create policy "signed-in users read batches" on public.scraping_logs
  for select to authenticated using (true);

revoke all on function private.set_updated_at() from public, anon, authenticated, service_role;
