-- The ledger: one row a look at a post. Slot 0 is the look that the sheet asked for, slots 1 to 5
-- are the daily ones. A unit is owed until it is done; every stage moves units one state on.

-- Which day it is decides what cannot be undone: a daily look that was not taken on its day ends.
-- So it is never a caller's clock that says so. Every decision about days asks this function; only
-- the sandbox replaces it (sql/sandbox), to play days that have not come. Leases use the real clock.
create function private.current_instant() returns timestamptz
language sql stable
set search_path = ''
as $$ select now() $$;

create function private.current_day(time_zone text) returns date
language sql stable
set search_path = ''
as $$ select (private.current_instant() at time zone current_day.time_zone)::date $$;

-- `sources` of a call: the sheets that its caller reads and answers. NULL unless it is a list.
create function private.parse_sources(p jsonb) returns text[]
language sql immutable
set search_path = ''
as $$
  select case when jsonb_typeof(p -> 'sources') = 'array' then array(
    select jsonb_array_elements_text(p -> 'sources')
  ) end
$$;

-- How often a stage is tried on a unit for reasons of its own, before the unit ends with the reason.
create function private.max_attempts() returns integer
language sql immutable
set search_path = ''
as $$ select 5 $$;

-- Whether a try may be counted now: at most one an hour is, however many runs there are.
create function private.may_count(counted_at timestamptz) returns boolean
language sql stable
set search_path = ''
as $$
  select may_count.counted_at is null
    or may_count.counted_at <= private.current_instant() - interval '1 hour'
$$;

-- When a unit that has failed so often is tried again: after 1, 3 and 9 hours, then a day. What may
-- pass gets the time to. A daily look has to be taken on its day: it is tried at `latest` at the
-- latest, as long as that is still to come.
create function private.next_try(attempts integer, latest timestamptz default null)
returns timestamptz
language sql stable
set search_path = ''
as $$
  select case when at > next_try.latest and next_try.latest > private.current_instant()
    then next_try.latest else at end
  from (
    select private.current_instant() + case
      when next_try.attempts <= 1 then interval '1 hour'
      when next_try.attempts = 2 then interval '3 hours'
      when next_try.attempts = 3 then interval '9 hours'
      else interval '24 hours'
    end as at
  ) as spaced
$$;

-- Half an hour before the end of a day: a run of a thousand posts takes about as long.
create function private.end_of_day(day date, time_zone text) returns timestamptz
language sql stable
set search_path = ''
as $$
  select (end_of_day.day + 1)::timestamp at time zone end_of_day.time_zone - interval '30 minutes'
$$;

comment on function private.max_attempts() is 'How often a stage is tried on a unit before the unit ends with the reason.';
comment on function private.may_count(timestamptz) is 'Part of the ledger''s functions: whether an hour has passed since the last counted try.';
comment on function private.next_try(integer, timestamptz) is 'Part of the ledger''s functions: when a unit that failed is tried again.';
comment on function private.end_of_day(date, text) is 'Part of record_scrapes: until when a daily look is tried at the latest.';
comment on function private.parse_sources(jsonb) is 'Part of the ledger''s functions: the sheets of a caller.';
comment on function private.current_instant() is 'The time by which days are decided: the database''s clock.';
comment on function private.current_day(text) is 'Today in a time zone, by private.current_instant().';
revoke all on function private.current_instant(), private.current_day(text),
  private.parse_sources(jsonb), private.max_attempts(), private.may_count(timestamptz),
  private.next_try(integer, timestamptz), private.end_of_day(date, text)
  from public, anon, authenticated, service_role;
grant execute on function private.current_instant(), private.current_day(text),
  private.parse_sources(jsonb), private.max_attempts(), private.may_count(timestamptz),
  private.next_try(integer, timestamptz), private.end_of_day(date, text)
  to service_role;

create table public.scrape_units (
  id bigint generated always as identity primary key,
  source text,
  source_key text not null,
  slot smallint not null default 0
    constraint scrape_units_slot_check check (slot between 0 and 5),
  due_date date not null,
  state text not null default 'pending'
    constraint scrape_units_state_check
    check (state in ('pending', 'scraped', 'stored', 'persisted', 'done')),
  outcome text
    constraint scrape_units_outcome_check
    check (outcome in ('scraped', 'unavailable', 'expired')),
  attempts integer not null default 0
    constraint scrape_units_attempts_check check (attempts >= 0),
  counted_at timestamptz,
  next_try_at timestamptz,
  error_kind text,
  error text,
  note text,
  unanswered_since timestamptz,
  tiktok_id text,
  is_photo_url boolean not null default false,
  is_carousel boolean not null default false,
  is_origin boolean not null default false,
  batch_id uuid,
  failed_batch_id uuid,
  details jsonb,
  post jsonb,
  slides jsonb,
  claim_id uuid,
  leased_by uuid,
  lease_until timestamptz,
  opened_at timestamptz not null default private.current_instant(),
  updated_at timestamptz not null default now(),
  finished_at timestamptz,
  constraint scrape_units_source_check check ((slot = 0) = (source is not null)),
  constraint scrape_units_origin_check check (not is_origin or (slot = 0 and tiktok_id is not null)),
  constraint scrape_units_pending_check check ((state = 'pending') = (outcome is null)),
  constraint scrape_units_unanswered_check
    check (unanswered_since is null or (slot = 0 and state = 'persisted')),
  constraint scrape_units_daily_check
    check (slot = 0 or (tiktok_id = source_key and tiktok_id is not null)),
  constraint scrape_units_done_check check (
    (state = 'done') = (finished_at is not null)
    and (state <> 'done' or (details is null and post is null and slides is null))
  ),
  constraint scrape_units_lease_check check (
    (leased_by is null) = (lease_until is null)
    and (leased_by is null or (claim_id is not null and state <> 'done'))
  )
);

-- A row is known by its sheet and its key; a daily look belongs to the post, whoever asked for it.
create unique index scrape_units_row_key on public.scrape_units (source_key, source)
  where slot = 0;
create unique index scrape_units_daily_key on public.scrape_units (source_key, slot)
  where slot > 0;
-- Of several rows with one post the first one's VA, creator and set count.
create unique index scrape_units_origin_key on public.scrape_units (tiktok_id)
  where is_origin;

-- Nearly all units are done; these three hold only what is owed and what is held: in the order in
-- which it is claimed, in the order in which it is due and listed, by holder.
-- The first two conditions mean the same. The planner, whose statistics see hardly any open unit,
-- would confuse the indexes: so a query states the condition of the one that is meant for it.
create index scrape_units_claim_idx on public.scrape_units (state, attempts, due_date, slot, id)
  where state in ('pending', 'scraped', 'stored', 'persisted');
create index scrape_units_due_idx on public.scrape_units (due_date, slot, id)
  where state <> 'done';
create index scrape_units_leased_by_idx on public.scrape_units (leased_by)
  where leased_by is not null;
-- Daily looks belong to no batch until their day.
create index scrape_units_batch_id_idx on public.scrape_units (batch_id)
  where batch_id is not null;

-- Every unit is written about five times within an hour.
alter table public.scrape_units set (
  fillfactor = 80,
  autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.05
);

create trigger scrape_units_set_updated_at
before update on public.scrape_units
for each row execute function private.set_updated_at();

alter table public.scrape_units enable row level security;
revoke all on table public.scrape_units from public, anon, authenticated, service_role;
revoke all on sequence public.scrape_units_id_seq
  from public, anon, authenticated, service_role;
grant select, insert, update, delete on table public.scrape_units to service_role;
-- Restrictive: no policy that is added later can open the ledger by mistake.
create policy "nobody reads the ledger" on public.scrape_units
  as restrictive for all to anon, authenticated using (false) with check (false);

comment on table public.scrape_units is 'The ledger: one row a look at a post; pending, scraped, stored, persisted, done.';
comment on column public.scrape_units.id is 'Internal number.';
comment on column public.scrape_units.source is 'The spreadsheet and tab that asked for the look of slot 0, and are answered; NULL for daily looks.';
comment on column public.scrape_units.source_key is 'What asked for the look: the key of the sheet''s row for slot 0, else tiktok_id.';
comment on column public.scrape_units.slot is '0: the look that the sheet asked for; 1 to 5: the daily looks after it.';
comment on column public.scrape_units.due_date is 'The day on which the look is due, in the time zone of the pipeline.';
comment on column public.scrape_units.state is 'pending, scraped (page read), stored (slides in the bucket), persisted (rows written), done (sheet answered).';
comment on column public.scrape_units.outcome is 'scraped, unavailable (error says why) or expired (not looked at on its day); NULL while pending.';
comment on column public.scrape_units.attempts is 'How often the stage that the unit is in failed on it for a reason that may pass; a refusal that says nothing about the post is not counted.';
comment on column public.scrape_units.counted_at is 'When a try was counted last: at most one an hour is; NULL as long as attempts is 0.';
comment on column public.scrape_units.next_try_at is 'Before that nobody claims the unit; NULL: at once.';
comment on column public.scrape_units.error_kind is 'Kind of the last failure.';
comment on column public.scrape_units.error is 'The last failure, in a sentence that an assistant understands.';
comment on column public.scrape_units.note is 'What the sheet could not be told, and why.';
comment on column public.scrape_units.unanswered_since is 'Since when the row waits although it could have been answered: note says what is in the way. Every run tries to answer it again; TikTok is not asked again.';
comment on column public.scrape_units.tiktok_id is 'The post, as soon as it is known (tiktok_posts.tiktok_id).';
comment on column public.scrape_units.is_photo_url is 'Whether a short link led to a URL that names the post a photo post (/photo/): without slides its page is not complete.';
comment on column public.scrape_units.is_carousel is 'Whether the post has slides.';
comment on column public.scrape_units.is_origin is 'Whether the post has its VA, creator and set from this row: the first of several rows with one post.';
comment on column public.scrape_units.batch_id is 'The batch that opened or claimed the unit last (scraping_logs.batch_id); one that only failed to answer its row again does not count.';
comment on column public.scrape_units.failed_batch_id is 'The batch that failed on the unit last; it does not claim it again.';
comment on column public.scrape_units.details is 'What the row says, for the later stages; NULL when done.';
comment on column public.scrape_units.post is 'What the page said, for the later stages; NULL when done.';
comment on column public.scrape_units.slides is 'What is stored of the slides, for the later stages; NULL when done.';
comment on column public.scrape_units.claim_id is 'The call that claimed the unit: the same call again gets the same units.';
comment on column public.scrape_units.leased_by is 'The batch that works on the unit.';
comment on column public.scrape_units.lease_until is 'When others may take the unit over.';
comment on column public.scrape_units.opened_at is 'When the look was asked for.';
comment on column public.scrape_units.updated_at is 'Last change of the row, by trigger.';
comment on column public.scrape_units.finished_at is 'When the unit became done.';
