-- The history of a post's figures: one row a post and day.

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

comment on table public.post_metrics is 'The history of a post''s figures: one row a post and day.';
comment on column public.post_metrics.post_id is 'The post (tiktok_posts.id).';
comment on column public.post_metrics.captured_on is 'The day of the look, in the time zone of the pipeline.';
comment on column public.post_metrics.captured_at is 'When the figures were read.';
comment on column public.post_metrics.views is 'Plays or views, as TikTok shows them: in hundreds from 10,000, in hundred thousands from 1,000,000; NULL: the page did not say.';
comment on column public.post_metrics.likes is 'Likes.';
comment on column public.post_metrics.comments is 'Comments.';
comment on column public.post_metrics.shares is 'Shares.';
comment on column public.post_metrics.bookmarks is 'Bookmarks (favourites).';
comment on column public.post_metrics.followers is 'Followers of the account: exact from its profile, rounded from a post''s page.';
