-- One row per TikTok post: who published it, what its page showed last, its views on the days
-- after.

-- Supabase has these roles; a plain PostgreSQL, as the tests and benchmarks use, does not.
do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'anon') then
    create role anon nologin noinherit;
  end if;
  if not exists (select from pg_catalog.pg_roles where rolname = 'authenticated') then
    create role authenticated nologin noinherit;
  end if;
  if not exists (select from pg_catalog.pg_roles where rolname = 'service_role') then
    create role service_role nologin noinherit bypassrls;
  end if;
end
$$;

-- What the REST API does not serve: helpers of the functions in `public`, triggers, types. Hosted
-- Supabase exposes `public` alone. The functions run with their caller's rights, so the secret key
-- needs USAGE on this schema. Nobody else can reach anything in it.
create schema if not exists private;
comment on schema private is 'Helpers of the functions in public, triggers and types; not exposed by the REST API.';
grant usage on schema private to service_role;

create table public.tiktok_posts (
  id bigint generated always as identity primary key,
  tiktok_id text not null
    constraint tiktok_posts_tiktok_id_key unique
    constraint tiktok_posts_tiktok_id_check check (tiktok_id ~ '^[0-9]{1,25}$'),
  va_url text,
  post_url text not null constraint tiktok_posts_post_url_key unique,
  created_date date,
  creator text,
  set_id integer constraint tiktok_posts_set_id_check check (set_id >= 0),
  set_code text,
  va text,
  post_type text constraint tiktok_posts_post_type_check check (post_type in ('NEW', 'REPOST')),
  platform text not null default 'tiktok'
    constraint tiktok_posts_platform_check check (platform = 'tiktok'),
  account text,
  logged_at timestamptz not null default now(),
  first_scraped_at timestamptz,
  last_scraped_at timestamptz,
  views bigint,
  likes bigint,
  comments bigint,
  shares bigint,
  -- Four bigints can add up to more than a bigint holds, so the sum is numeric and capped.
  engagement bigint generated always as (
    case when coalesce(likes, comments, shares, bookmarks) is not null then
      least(
        coalesce(likes, 0)::numeric + coalesce(comments, 0) + coalesce(shares, 0)
          + coalesce(bookmarks, 0),
        9223372036854775807
      )::bigint
    end
  ) stored,
  engagement_rate numeric generated always as (
    case
      when coalesce(views, 0) = 0 then 0
      when coalesce(likes, comments, shares, bookmarks) is not null then
        round(
          (coalesce(likes, 0)::numeric + coalesce(comments, 0) + coalesce(shares, 0)
            + coalesce(bookmarks, 0)) * 100 / views,
          2
        )
    end
  ) stored,
  followers bigint,
  hashtags text[] not null default '{}',
  sound text,
  sound_url text,
  slide_count integer not null default 0
    constraint tiktok_posts_slide_count_check check (slide_count between 0 and 35),
  day1_views bigint,
  day2_views bigint,
  day3_views bigint,
  day4_views bigint,
  day5_views bigint,
  scrape_status text not null default 'active'
    constraint tiktok_posts_scrape_status_check
    check (scrape_status in ('active', 'paused', 'completed', 'unavailable')),
  scrape_interval interval not null default interval '1 day'
    constraint tiktok_posts_scrape_interval_check check (scrape_interval > interval '0'),
  scrape_count integer not null default 0
    constraint tiktok_posts_scrape_count_check check (scrape_count >= 0),
  days_since_posted integer
    constraint tiktok_posts_days_since_posted_check check (days_since_posted >= 0),
  ocr_text text,
  slides jsonb not null default '[]'
    constraint tiktok_posts_slides_check check (jsonb_typeof(slides) = 'array'),
  post_description text,
  account_verified boolean,
  bookmarks bigint,
  scraped_at timestamptz,
  scraping_method text,
  data_quality text constraint tiktok_posts_data_quality_check
    check (data_quality in ('complete', 'no_account', 'partial')),
  error text,
  batch_id uuid,
  updated_at timestamptz not null default now(),
  -- least() ignores NULL: a count that the page did not show is missing, not wrong.
  constraint tiktok_posts_counts_check check (
    least(views, likes, comments, shares, bookmarks, followers,
          day1_views, day2_views, day3_views, day4_views, day5_views) >= 0
  )
);

-- A scrape changes only columns without an index, and posts that share a database page are scraped
-- on the same days. With room for most of their new versions, such an update touches no index
-- (HOT).
alter table public.tiktok_posts set (fillfactor = 60);

create function private.set_updated_at() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end
$$;
comment on function private.set_updated_at() is 'Trigger: sets updated_at.';

create trigger tiktok_posts_set_updated_at
before update on public.tiktok_posts
for each row execute function private.set_updated_at();

comment on table public.tiktok_posts is 'One row per TikTok post, with the metrics of its last scrape.';
comment on column public.tiktok_posts.id is 'Internal id; tiktok_slides and post_metrics refer to it.';
comment on column public.tiktok_posts.tiktok_id is 'TikTok''s id of the post.';
comment on column public.tiktok_posts.va_url is 'The URL as the VA typed it into the sheet.';
comment on column public.tiktok_posts.post_url is 'The canonical URL of the post.';
comment on column public.tiktok_posts.created_date is 'The date in the sheet, else the day the post was published.';
comment on column public.tiktok_posts.creator is 'The creator, from the sheet.';
comment on column public.tiktok_posts.set_id is 'The number of the image set, from the sheet.';
comment on column public.tiktok_posts.set_code is 'First four letters of the creator in capitals, _, set_id in three digits.';
comment on column public.tiktok_posts.va is 'The VA who logged the post, from the sheet.';
comment on column public.tiktok_posts.post_type is 'NEW or REPOST, from the sheet.';
comment on column public.tiktok_posts.platform is 'Always tiktok.';
comment on column public.tiktok_posts.account is 'The TikTok account that published the post, without @.';
comment on column public.tiktok_posts.logged_at is 'When the sheet''s row first opened a unit; set once.';
comment on column public.tiktok_posts.first_scraped_at is 'When the post was first scraped; set once.';
comment on column public.tiktok_posts.last_scraped_at is 'When the post was last scraped.';
comment on column public.tiktok_posts.views is 'Views (plays) at the last scrape, as TikTok shows them: rounded to hundreds from 10,000, to hundred thousands from 1,000,000; NULL: the page did not show them.';
comment on column public.tiktok_posts.likes is 'Likes at the last scrape, rounded like views.';
comment on column public.tiktok_posts.comments is 'Comments at the last scrape.';
comment on column public.tiktok_posts.shares is 'Shares at the last scrape.';
comment on column public.tiktok_posts.engagement is 'Likes + comments + shares + bookmarks; NULL when all are missing.';
comment on column public.tiktok_posts.engagement_rate is 'Engagement in percent of views, two decimals; 0 without views.';
comment on column public.tiktok_posts.followers is 'Followers of the account at the last scrape: exact if read from its profile, rounded like views if read from a post''s page.';
comment on column public.tiktok_posts.hashtags is 'Hashtags of the caption, without #.';
comment on column public.tiktok_posts.sound is 'Title of the sound.';
comment on column public.tiktok_posts.sound_url is 'URL of the sound.';
comment on column public.tiktok_posts.slide_count is 'Slides of the carousel; 0 for a video.';
comment on column public.tiktok_posts.day1_views is 'Views on the first day after the first scrape, rounded like views, so that growth above 10,000 comes in steps; NULL: not scraped on that day.';
comment on column public.tiktok_posts.day2_views is 'Views on the second day after the first scrape.';
comment on column public.tiktok_posts.day3_views is 'Views on the third day after the first scrape.';
comment on column public.tiktok_posts.day4_views is 'Views on the fourth day after the first scrape.';
comment on column public.tiktok_posts.day5_views is 'Views on the fifth day after the first scrape.';
comment on column public.tiktok_posts.scrape_status is 'active: daily scrapes follow; paused: a user stopped them; completed: none is left; unavailable: error says why.';
comment on column public.tiktok_posts.scrape_interval is 'Time between two scrapes.';
comment on column public.tiktok_posts.scrape_count is 'How often the post was scraped.';
comment on column public.tiktok_posts.days_since_posted is 'Days between publication and the last scrape.';
comment on column public.tiktok_posts.ocr_text is 'Text recognised in the slides.';
comment on column public.tiktok_posts.slides is 'Public URLs of the stored slides, in order.';
comment on column public.tiktok_posts.post_description is 'The caption.';
comment on column public.tiktok_posts.account_verified is 'Whether TikTok shows the account as verified.';
comment on column public.tiktok_posts.bookmarks is 'Bookmarks (favourites) at the last scrape.';
comment on column public.tiktok_posts.scraped_at is 'When the metrics in this row were read.';
comment on column public.tiktok_posts.scraping_method is 'Where the metrics come from, for example page.';
comment on column public.tiktok_posts.data_quality is 'complete, no_account (account unknown) or partial (metrics or slides missing).';
comment on column public.tiktok_posts.error is 'Why the last scrape failed; NULL after a successful one.';
comment on column public.tiktok_posts.batch_id is 'The batch that last wrote the row (scraping_logs.batch_id).';
comment on column public.tiktok_posts.updated_at is 'When the row last changed; set by a trigger.';
