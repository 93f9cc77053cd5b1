-- What changed in posts and slides, other than metrics: before and after, who and when.
-- Written by triggers only: the secret key may read it, not write it.

create table public.audit_log (
  id bigint generated always as identity primary key,
  table_name text not null,
  row_id bigint not null,
  operation text not null
    constraint audit_log_operation_check check (operation in ('insert', 'update', 'delete')),
  before jsonb,
  after jsonb,
  actor text not null,
  changed_at timestamptz not null default now()
);

create index audit_log_row_idx on public.audit_log (table_name, row_id, changed_at desc);
-- In order of time on disk: a block range index serves the retention at next to no cost.
create index audit_log_changed_at_idx on public.audit_log using brin (changed_at);

alter table public.audit_log enable row level security;
revoke all on table public.audit_log from public, anon, authenticated, service_role;
revoke all on sequence public.audit_log_id_seq from public, anon, authenticated, service_role;
grant select on table public.audit_log to service_role;
create policy "nobody reads the audit log" on public.audit_log
  as restrictive for all to anon, authenticated using (false) with check (false);

comment on table public.audit_log is 'What changed in tiktok_posts and tiktok_slides, other than metrics; written by triggers.';
comment on column public.audit_log.id is 'Internal number.';
comment on column public.audit_log.table_name is 'tiktok_posts or tiktok_slides.';
comment on column public.audit_log.row_id is 'id of the row in that table.';
comment on column public.audit_log.operation is 'insert, update or delete.';
comment on column public.audit_log.before is 'The changed columns before; the whole row of a deleted one.';
comment on column public.audit_log.after is 'The changed columns after; of an inserted row those that identify it.';
comment on column public.audit_log.actor is 'The user''s id, else the role of the key, else the database user.';
comment on column public.audit_log.changed_at is 'When, by the clock of the transaction.';

-- security definer, here and in the triggers below: nobody may write the log in another way.
-- session_user and the role setting are the caller's there, current_user is not.
create function public.audit_actor() returns text
language sql stable
set search_path = ''
as $$
  select coalesce(
    nullif(claims ->> 'sub', ''),
    nullif(claims ->> 'role', ''),
    nullif(nullif(current_setting('role', true), ''), 'none'),
    session_user::text
  )
  from (
    select nullif(current_setting('request.jwt.claims', true), '')::jsonb as claims
  ) as request
$$;

-- A new row is its own record, so only what identifies it is noted: later entries hold what
-- each change replaced. A statement of 3,000 rows runs this once.
create function public.audit_post_inserts() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  insert into public.audit_log (table_name, row_id, operation, after, actor)
  select 'tiktok_posts', n.id, 'insert',
    jsonb_build_object('tiktok_id', n.tiktok_id, 'post_url', n.post_url, 'va_url', n.va_url),
    actor.name
  from new_rows as n, (select public.audit_actor() as name) as actor;
  return null;
end
$$;

create function public.audit_slide_inserts() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  insert into public.audit_log (table_name, row_id, operation, after, actor)
  select 'tiktok_slides', n.id, 'insert',
    jsonb_build_object('post_id', n.post_id, 'slide_number', n.slide_number,
      'storage_path', n.storage_path),
    actor.name
  from new_rows as n, (select public.audit_actor() as name) as actor;
  return null;
end
$$;

-- Arguments: the columns that are not audited.
create function public.audit_row_change() returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
  ignored constant text[] := coalesce(tg_argv, '{}');
  v_before jsonb := to_jsonb(old) - ignored;
  v_after jsonb;
begin
  if tg_op = 'UPDATE' then
    v_after := to_jsonb(new) - ignored;
    select jsonb_object_agg(b.key, b.value), jsonb_object_agg(b.key, v_after -> b.key)
    into v_before, v_after
    from jsonb_each(v_before) as b
    where b.value is distinct from v_after -> b.key;
    if v_before is null then
      return null;
    end if;
  end if;
  insert into public.audit_log (table_name, row_id, operation, before, after, actor)
  values (tg_table_name, old.id, lower(tg_op), v_before, v_after, public.audit_actor());
  return null;
end
$$;

create trigger tiktok_posts_audit_insert
after insert on public.tiktok_posts
referencing new table as new_rows
for each statement execute function public.audit_post_inserts();

create trigger tiktok_slides_audit_insert
after insert on public.tiktok_slides
referencing new table as new_rows
for each statement execute function public.audit_slide_inserts();

-- The condition keeps a look that changes only figures from calling the function at all.
create trigger tiktok_posts_audit_update
after update on public.tiktok_posts
for each row
when (
  (old.tiktok_id, old.va_url, old.post_url, old.created_date, old.creator, old.set_id,
   old.set_code, old.va, old.post_type, old.platform, old.account, old.logged_at,
   old.hashtags, old.sound, old.sound_url, old.slide_count, old.scrape_status,
   old.scrape_interval, old.ocr_text, old.slides, old.post_description,
   old.account_verified, old.scraping_method, old.data_quality, old.error)
  is distinct from
  (new.tiktok_id, new.va_url, new.post_url, new.created_date, new.creator, new.set_id,
   new.set_code, new.va, new.post_type, new.platform, new.account, new.logged_at,
   new.hashtags, new.sound, new.sound_url, new.slide_count, new.scrape_status,
   new.scrape_interval, new.ocr_text, new.slides, new.post_description,
   new.account_verified, new.scraping_method, new.data_quality, new.error)
)
execute function public.audit_row_change(
  'views', 'likes', 'comments', 'shares', 'bookmarks', 'engagement', 'engagement_rate',
  'followers', 'day1_views', 'day2_views', 'day3_views', 'day4_views', 'day5_views',
  'scrape_count', 'days_since_posted', 'first_scraped_at', 'last_scraped_at', 'scraped_at',
  'batch_id', 'updated_at'
);

create trigger tiktok_posts_audit_delete
after delete on public.tiktok_posts
for each row execute function public.audit_row_change();

create trigger tiktok_slides_audit_update
after update on public.tiktok_slides
for each row
when (
  (old.post_id, old.post_url, old.slide_number, old.storage_path, old.public_url,
   old.file_size, old.width, old.height, old.mime_type, old.content_hash, old.ocr_text,
   old.ocr_processed)
  is distinct from
  (new.post_id, new.post_url, new.slide_number, new.storage_path, new.public_url,
   new.file_size, new.width, new.height, new.mime_type, new.content_hash, new.ocr_text,
   new.ocr_processed)
)
execute function public.audit_row_change('slide_url', 'downloaded_at', 'uploaded_at');

create trigger tiktok_slides_audit_delete
after delete on public.tiktok_slides
for each row execute function public.audit_row_change();

-- Grants are easily given back by a tool that means well; this does not depend on them. Inside
-- the functions above current_user is their owner.
create function public.guard_audit_log() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if current_user in ('anon', 'authenticated', 'service_role') then
    raise exception 'permission denied for table audit_log: only its triggers write it'
      using errcode = '42501';
  end if;
  return null;
end
$$;

create trigger audit_log_guard
before insert or update or delete or truncate on public.audit_log
for each statement execute function public.guard_audit_log();

-- {keep_days} -> {deleted}: the retention. Refuses to keep less than 30 days, so that a secret
-- key in wrong hands cannot wipe its own traces.
create function public.prune_audit_log(p jsonb) returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_keep_days constant integer := coalesce((p ->> 'keep_days')::integer, 365);
  v_deleted integer;
begin
  if v_keep_days < 30 then
    raise exception 'keep_days is %, the audit log keeps at least 30 days', v_keep_days
      using errcode = '22023';
  end if;
  delete from public.audit_log where changed_at < now() - make_interval(days => v_keep_days);
  get diagnostics v_deleted = row_count;
  return jsonb_build_object('deleted', v_deleted);
end
$$;

comment on function public.audit_actor() is 'Who is writing: user id, role of the key, or database user.';
comment on function public.audit_post_inserts() is 'Trigger: notes new posts.';
comment on function public.audit_slide_inserts() is 'Trigger: notes new slides.';
comment on function public.audit_row_change() is 'Trigger: notes the changed columns, except those in its arguments.';
comment on function public.guard_audit_log() is 'Trigger: refuses every other way of writing the log.';
comment on function public.prune_audit_log(jsonb) is '{keep_days} -> {deleted}: removes entries that are older.';

revoke all on function public.audit_actor(), public.audit_post_inserts(),
  public.audit_slide_inserts(), public.audit_row_change(), public.guard_audit_log(),
  public.prune_audit_log(jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.prune_audit_log(jsonb) to service_role;
