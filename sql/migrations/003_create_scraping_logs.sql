-- One row per batch: one run of the pipeline for one day.

create table public.scraping_logs (
  id bigint generated always as identity primary key,
  batch_id uuid not null constraint scraping_logs_batch_id_key unique,
  batch_started_at timestamptz not null default now(),
  batch_completed_at timestamptz,
  source_type text,
  source_reference text,
  partition_date date,
  run_id text,
  total_urls integer not null default 0,
  successful_scrapes integer not null default 0,
  failed_scrapes integer not null default 0,
  carousel_posts_processed integer not null default 0,
  slides_downloaded integer not null default 0,
  slides_uploaded integer not null default 0,
  duration_seconds double precision,
  status text not null default 'running'
    constraint scraping_logs_status_check
    check (status in ('running', 'completed', 'partial', 'failed')),
  error_message text,
  metrics jsonb not null default '{}'
    constraint scraping_logs_metrics_check check (jsonb_typeof(metrics) = 'object'),
  failures jsonb not null default '{}'
    constraint scraping_logs_failures_check check (jsonb_typeof(failures) = 'object'),
  heartbeat_at timestamptz not null default now(),
  constraint scraping_logs_counts_check check (
    least(total_urls, successful_scrapes, failed_scrapes, carousel_posts_processed,
          slides_downloaded, slides_uploaded) >= 0 and coalesce(duration_seconds, 0) >= 0
  ),
  constraint scraping_logs_completed_check
    check (status <> 'running' or batch_completed_at is null)
);

comment on table public.scraping_logs is 'One row per batch: what one run of the pipeline did.';
comment on column public.scraping_logs.id is 'Internal id.';
comment on column public.scraping_logs.batch_id is 'The batch; the id of its Dagster run.';
comment on column public.scraping_logs.batch_started_at is 'When the batch was opened.';
comment on column public.scraping_logs.batch_completed_at is 'When the batch was closed; for a run that died, its last heartbeat; NULL while it runs.';
comment on column public.scraping_logs.source_type is 'Where the rows came from, for example google_sheet.';
comment on column public.scraping_logs.source_reference is 'Which source: the URL of the sheet.';
comment on column public.scraping_logs.partition_date is 'The day whose units were due.';
comment on column public.scraping_logs.run_id is 'The id of the Dagster run.';
comment on column public.scraping_logs.total_urls is 'Units of the ledger that the batch opened or claimed.';
comment on column public.scraping_logs.successful_scrapes is 'Of those: scraped, stored, persisted and written back.';
comment on column public.scraping_logs.failed_scrapes is 'Of those: the others.';
comment on column public.scraping_logs.carousel_posts_processed is 'Posts with slides among the units of the batch.';
comment on column public.scraping_logs.slides_downloaded is 'Slides fetched from TikTok.';
comment on column public.scraping_logs.slides_uploaded is 'Slides stored in the bucket.';
comment on column public.scraping_logs.duration_seconds is 'Seconds from opening to closing.';
comment on column public.scraping_logs.status is 'running; completed: nothing due is unfinished; partial: something is; failed: nothing succeeded.';
comment on column public.scraping_logs.error_message is 'What ended the batch, or what is unfinished.';
comment on column public.scraping_logs.metrics is 'Totals of each stage, by the name of its asset.';
comment on column public.scraping_logs.failures is 'What failed in each stage, by the name of its asset. Quotes servers, so only the secret key reads it.';
comment on column public.scraping_logs.heartbeat_at is 'The run''s last heartbeat, renewed with its leases.';
