-- The ledger: one unit per scrape of a post. Slot 0 is the scrape that the sheet asked for, slots 1
-- to 5 are the daily scrapes. Each stage moves its units to the next state, until they are done.

-- The current day decides something that cannot be undone: a daily scrape that was missed expires.
-- So the clock of a caller never decides it. Every decision about days calls this function. Only
-- the sandbox replaces it (sql/sandbox), to play future days. Leases use the real clock.
create function private.current_instant() returns timestamptz
language sql stable
set search_path = ''
as $$ select now() $$;

create function private.current_day(time_zone text) returns date
language sql stable
set search_path = ''
as $$ select (private.current_instant() at time zone current_day.time_zone)::date $$;

-- The `sources` argument of a call: the sheets that its caller reads and writes. NULL unless a
-- list.
create function private.parse_sources(p jsonb) returns text[]
language sql immutable
set search_path = ''
as $$
  select case when jsonb_typeof(p -> 'sources') = 'array' then array(
    select jsonb_array_elements_text(p -> 'sources')
  ) end
$$;

-- How many attempts of one stage may fail for a reason of the unit's own, before the unit ends with
-- that reason. The only place that holds the number.
create function private.max_attempts() returns integer
language sql immutable
set search_path = ''
as $$ select 5 $$;

-- Whether an attempt may be counted now: at most one an hour, however many runs there are.
create function private.may_count(counted_at timestamptz) returns boolean
language sql stable
set search_path = ''
as $$
  select may_count.counted_at is null
    or may_count.counted_at <= private.current_instant() - interval '1 hour'
$$;

-- When a unit is tried again after so many failed attempts: after 1, 3 and 9 hours, then after a
-- day, so that a transient problem has time to pass. A daily scrape must happen on its day: it is
-- tried again no later than `latest`, as long as that is in the future.
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

-- Half an hour before the end of the day, about as long as a run of a thousand posts takes.
create function private.end_of_day(day date, time_zone text) returns timestamptz
language sql stable
set search_path = ''
as $$
  select (end_of_day.day + 1)::timestamp at time zone end_of_day.time_zone - interval '30 minutes'
$$;

comment on function private.max_attempts() is 'How many failed attempts of one stage end a unit.';
comment on function private.may_count(timestamptz) is 'Helper of the ledger''s functions: whether an hour has passed since the last counted attempt.';
comment on function private.next_try(integer, timestamptz) is 'Helper of the ledger''s functions: when a unit that failed is tried again.';
comment on function private.end_of_day(date, text) is 'Helper of record_scrapes: the latest time to try a daily scrape again.';
comment on function private.parse_sources(jsonb) is 'Helper of the ledger''s functions: the sheets of a caller.';
comment on function private.current_instant() is 'The time that decides which day it is: the database''s clock.';
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

-- A row is identified by its sheet and its key. A daily scrape belongs to the post.
create unique index scrape_units_row_key on public.scrape_units (source_key, source)
  where slot = 0;
create unique index scrape_units_daily_key on public.scrape_units (source_key, slot)
  where slot > 0;
-- If several rows name one post, the post has its VA, creator and set from the first one.
create unique index scrape_units_origin_key on public.scrape_units (tiktok_id)
  where is_origin;

-- Nearly all units are done. These three partial indexes hold only the others: in the order in
-- which they are claimed, in the order in which they are due and listed, and by the holder of their
-- lease. The first two conditions mean the same. The planner's statistics see hardly any unfinished
-- unit, so it would mix the indexes up: a query states the condition of the index that is meant for
-- it.
create index scrape_units_claim_idx on public.scrape_units (state, attempts, due_date, slot, id)
  where state in ('pending', 'scraped', 'stored', 'persisted');
create index scrape_units_due_idx on public.scrape_units (due_date, slot, id)
  where state <> 'done';
create index scrape_units_leased_by_idx on public.scrape_units (leased_by)
  where leased_by is not null;
-- Daily scrapes belong to no batch until their day.
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
-- Restrictive, so that no later policy opens the ledger by mistake.
create policy "nobody reads the ledger" on public.scrape_units
  as restrictive for all to anon, authenticated using (false) with check (false);

comment on table public.scrape_units is 'The ledger: one unit per scrape of a post; pending, scraped, stored, persisted, done.';
comment on column public.scrape_units.id is 'Internal id.';
comment on column public.scrape_units.source is 'The spreadsheet and tab that asked for the scrape of slot 0, and get its outcome; NULL for daily scrapes.';
comment on column public.scrape_units.source_key is 'Slot 0: the key of the sheet''s row. Slots 1 to 5: tiktok_id.';
comment on column public.scrape_units.slot is '0: the scrape that the sheet asked for; 1 to 5: the daily scrapes after it.';
comment on column public.scrape_units.due_date is 'The day on which the unit is due, in the pipeline''s time zone.';
comment on column public.scrape_units.state is 'pending, scraped (page read), stored (slides in the bucket), persisted (table rows written), done (written back to the sheet).';
comment on column public.scrape_units.outcome is 'scraped, unavailable (error says why) or expired (not scraped on its day); NULL while pending.';
comment on column public.scrape_units.attempts is 'Failed attempts of the unit''s current stage. A rejection, which says nothing about the post, is not counted.';
comment on column public.scrape_units.counted_at is 'When an attempt was last counted: at most one an hour is; NULL while attempts is 0.';
comment on column public.scrape_units.next_try_at is 'No run claims the unit before this time; NULL: it may be claimed at once.';
comment on column public.scrape_units.error_kind is 'Kind of the last failure.';
comment on column public.scrape_units.error is 'The last failure, in words that a VA understands.';
comment on column public.scrape_units.note is 'What could not be written back to the sheet, and why.';
comment on column public.scrape_units.unanswered_since is 'Since when the outcome could not be written back to the row; note says why. Every run tries to write it again and does not scrape the post again.';
comment on column public.scrape_units.tiktok_id is 'The post, once it is known (tiktok_posts.tiktok_id).';
comment on column public.scrape_units.is_photo_url is 'Whether a short link led to a /photo/ URL: then a page without slides is not complete.';
comment on column public.scrape_units.is_carousel is 'Whether the post has slides.';
comment on column public.scrape_units.is_origin is 'Whether the post has its VA, creator and set from this row. Of several rows with one post, the first one.';
comment on column public.scrape_units.batch_id is 'The batch that last opened or claimed the unit (scraping_logs.batch_id). A batch that only failed to write back its row again does not count.';
comment on column public.scrape_units.failed_batch_id is 'The last batch that failed on the unit; it does not claim the unit again.';
comment on column public.scrape_units.details is 'The row''s cells, parsed, for the later stages; NULL when done.';
comment on column public.scrape_units.post is 'The scraped post, for the later stages; NULL when done.';
comment on column public.scrape_units.slides is 'The slides stored so far, for the later stages; NULL when done.';
comment on column public.scrape_units.claim_id is 'The call that claimed the unit: repeating the call returns the same units.';
comment on column public.scrape_units.leased_by is 'The batch that works on the unit.';
comment on column public.scrape_units.lease_until is 'When the lease ends and another batch may claim the unit.';
comment on column public.scrape_units.opened_at is 'When the unit was opened.';
comment on column public.scrape_units.updated_at is 'When the row last changed; set by a trigger.';
comment on column public.scrape_units.finished_at is 'When the unit became done.';
