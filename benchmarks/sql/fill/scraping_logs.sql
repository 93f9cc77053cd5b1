insert into public.scraping_logs (
  batch_id, batch_started_at, batch_completed_at, source_type, source_reference, partition_date,
  total_urls, successful_scrapes, duration_seconds, status
)
select md5(day::date::text)::uuid, day + interval '2 hours', day + interval '3 hours',
  'google_sheet', 'https://docs.google.com/spreadsheets/d/benchmark/edit', day::date,
  8000, 8000, 3600, 'completed'
from benchmark.size as s
cross join generate_series(s.today - 730, s.today - 1, interval '1 day') as day;
