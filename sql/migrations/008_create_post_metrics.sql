-- The history of a post's metrics: one snapshot per post and day.

create table public.post_metrics (
  post_id bigint not null references public.tiktok_posts (id) on delete cascade,
  captured_on date not null,
  captured_at timestamptz not null,
  views bigint,
  likes bigint,
  comments bigint,
  shares bigint,
  bookmarks bigint,
  followers bigint,
  primary key (post_id, captured_on),
  constraint post_metrics_counts_check
    check (least(views, likes, comments, shares, bookmarks, followers) >= 0)
);

alter table public.post_metrics enable row level security;
revoke all on table public.post_metrics from public, anon, authenticated, service_role;
grant select on table public.post_metrics to authenticated;
grant select, insert, update, delete on table public.post_metrics to service_role;
create policy "signed-in users read metrics" on public.post_metrics
  for select to authenticated using (true);

comment on table public.post_metrics is 'The history of a post''s metrics: one snapshot per post and day.';
comment on column public.post_metrics.post_id is 'The post (tiktok_posts.id).';
comment on column public.post_metrics.captured_on is 'The day of the scrape, in the pipeline''s time zone.';
comment on column public.post_metrics.captured_at is 'When the metrics were read.';
comment on column public.post_metrics.views is 'Views (plays), as TikTok shows them: rounded to hundreds from 10,000, to hundred thousands from 1,000,000; NULL: the page did not show them.';
comment on column public.post_metrics.likes is 'Likes.';
comment on column public.post_metrics.comments is 'Comments.';
comment on column public.post_metrics.shares is 'Shares.';
comment on column public.post_metrics.bookmarks is 'Bookmarks (favourites).';
comment on column public.post_metrics.followers is 'Followers of the account: exact if read from its profile, rounded if read from a post''s page.';
