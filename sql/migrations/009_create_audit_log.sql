-- What changed in posts and slides, other than metrics: before and after, who and when. Only
-- triggers write it: the secret key may read it, not write it.

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
-- Entries lie on disk in order of time, so a BRIN index serves the pruning at almost no cost.
create index audit_log_changed_at_idx on public.audit_log using brin (changed_at);

alter table public.audit_log enable row level security;
revoke all on table public.audit_log from public, anon, authenticated, service_role;
revoke all on sequence public.audit_log_id_seq from public, anon, authenticated, service_role;
grant select on table public.audit_log to service_role;
create policy "nobody reads the audit log" on public.audit_log
  as restrictive for all to anon, authenticated using (false) with check (false);

comment on table public.audit_log is 'What changed in tiktok_posts and tiktok_slides, other than metrics; written by triggers.';
comment on column public.audit_log.id is 'Internal id.';
comment on column public.audit_log.table_name is 'tiktok_posts or tiktok_slides.';
comment on column public.audit_log.row_id is 'id of the row in that table.';
comment on column public.audit_log.operation is 'insert, update or delete.';
comment on column public.audit_log.before is 'The changed columns before; the whole row of a deleted one.';
comment on column public.audit_log.after is 'The changed columns after; of an inserted row those that identify it.';
comment on column public.audit_log.actor is 'The user''s id, else the role of the key, else the database user.';
comment on column public.audit_log.changed_at is 'When, by the clock of the transaction.';

-- The triggers below are security definer: nobody may write the log in any other way. In them,
-- session_user and the role setting are the caller's, current_user is not.
create function private.audit_actor() returns text
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

-- A new row still holds its values, so only what identifies it is logged: later entries hold what
-- each change replaced. A statement that inserts 3,000 rows runs this once.
create function private.audit_post_inserts() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  insert into public.audit_log (table_name, row_id, operation, after, actor)
  select 'tiktok_posts', n.id, 'insert',
    jsonb_build_object('tiktok_id', n.tiktok_id, 'post_url', n.post_url, 'va_url', n.va_url),
    actor.name
  from new_rows as n, (select private.audit_actor() as name) as actor;
  return null;
end
$$;

create function private.audit_slide_inserts() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  insert into public.audit_log (table_name, row_id, operation, after, actor)
  select 'tiktok_slides', n.id, 'insert',
    jsonb_build_object('post_id', n.post_id, 'slide_number', n.slide_number,
      'storage_path', n.storage_path),
    actor.name
  from new_rows as n, (select private.audit_actor() as name) as actor;
  return null;
end
$$;

-- The audited columns, before and after. Text from OCR is not among them: no user changed anything,
-- and every slide would get an entry. Comparing the columns as they are is cheap and drops the many
-- scrapes that changed only metrics. What is left is compared as jsonb, key by key. PostgreSQL
-- plans this once, for what the first statement changed, which is often nothing. An inner join
-- would then become a nested loop of every old row with every new one. A full join cannot.
create function private.audit_post_updates() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  insert into public.audit_log (table_name, row_id, operation, before, after, actor)
  select 'tiktok_posts', o.id, 'update', changed.before, changed.after, actor.name
  from old_rows as o
  full join new_rows as n on n.id = o.id
  cross join lateral (
    select o.tiktok_id, o.va_url, o.post_url, o.created_date, o.creator, o.set_id, o.set_code,
      o.va, o.post_type, o.platform, o.account, o.logged_at, o.hashtags, o.sound, o.sound_url,
      o.slide_count, o.scrape_status, o.scrape_interval, o.slides,
      o.post_description, o.account_verified, o.scraping_method, o.data_quality, o.error
  ) as b
  cross join lateral (
    select n.tiktok_id, n.va_url, n.post_url, n.created_date, n.creator, n.set_id, n.set_code,
      n.va, n.post_type, n.platform, n.account, n.logged_at, n.hashtags, n.sound, n.sound_url,
      n.slide_count, n.scrape_status, n.scrape_interval, n.slides,
      n.post_description, n.account_verified, n.scraping_method, n.data_quality, n.error
  ) as a
  cross join lateral (
    select jsonb_object_agg(x.key, x.value) as before, jsonb_object_agg(x.key, y.value) as after
    from jsonb_each(to_jsonb(b)) as x
    join jsonb_each(to_jsonb(a)) as y on y.key = x.key
    where x.value is distinct from y.value
  ) as changed
  cross join (select private.audit_actor() as name) as actor
  where b is distinct from a;
  return null;
end
$$;

create function private.audit_slide_updates() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  insert into public.audit_log (table_name, row_id, operation, before, after, actor)
  select 'tiktok_slides', o.id, 'update', changed.before, changed.after, actor.name
  from old_rows as o
  full join new_rows as n on n.id = o.id
  cross join lateral (
    select o.post_id, o.post_url, o.slide_number, o.storage_path, o.public_url, o.file_size,
      o.width, o.height, o.mime_type, o.content_hash
  ) as b
  cross join lateral (
    select n.post_id, n.post_url, n.slide_number, n.storage_path, n.public_url, n.file_size,
      n.width, n.height, n.mime_type, n.content_hash
  ) as a
  cross join lateral (
    select jsonb_object_agg(x.key, x.value) as before, jsonb_object_agg(x.key, y.value) as after
    from jsonb_each(to_jsonb(b)) as x
    join jsonb_each(to_jsonb(a)) as y on y.key = x.key
    where x.value is distinct from y.value
  ) as changed
  cross join (select private.audit_actor() as name) as actor
  where b is distinct from a;
  return null;
end
$$;

create function private.audit_deletes() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  insert into public.audit_log (table_name, row_id, operation, before, actor)
  values (tg_table_name, old.id, 'delete', to_jsonb(old), private.audit_actor());
  return null;
end
$$;

create trigger tiktok_posts_audit_insert
after insert on public.tiktok_posts
referencing new table as new_rows
for each statement execute function private.audit_post_inserts();

create trigger tiktok_slides_audit_insert
after insert on public.tiktok_slides
referencing new table as new_rows
for each statement execute function private.audit_slide_inserts();

create trigger tiktok_posts_audit_update
after update on public.tiktok_posts
referencing old table as old_rows new table as new_rows
for each statement execute function private.audit_post_updates();

create trigger tiktok_slides_audit_update
after update on public.tiktok_slides
referencing old table as old_rows new table as new_rows
for each statement execute function private.audit_slide_updates();

create trigger tiktok_posts_audit_delete
after delete on public.tiktok_posts
for each row execute function private.audit_deletes();

create trigger tiktok_slides_audit_delete
after delete on public.tiktok_slides
for each row execute function private.audit_deletes();

-- A tool may well grant these rights again. This check does not depend on grants: inside the
-- functions above, current_user is their owner.
create function private.guard_audit_log() returns trigger
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
for each statement execute function private.guard_audit_log();

-- {keep_days} -> {deleted}: the retention. Only the database's owner may call it (SQL editor,
-- cron), so that a stolen secret key cannot remove its own traces. Deletes at most 100,000 entries
-- a call, to stay far from any time limit: if it deletes that many, there may be more. Does not
-- accept less than 30 days, so that a mistake in a job does not remove last week's traces.
create function private.prune_audit_log(p jsonb) returns jsonb
language plpgsql
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
  -- By ctid: with a limit, a condition on id would read the whole table.
  delete from public.audit_log
  where ctid = any (array(
    select a.ctid from public.audit_log as a
    where a.changed_at < now() - make_interval(days => v_keep_days)
    limit 100000
  ));
  get diagnostics v_deleted = row_count;
  return jsonb_build_object('deleted', v_deleted);
end
$$;

comment on function private.audit_actor() is 'Who is writing: the user''s id, the key''s role, or the database user.';
comment on function private.audit_post_inserts() is 'Trigger: logs new posts.';
comment on function private.audit_slide_inserts() is 'Trigger: logs new slides.';
comment on function private.audit_post_updates() is 'Trigger: logs what changed in posts, other than metrics and OCR text.';
comment on function private.audit_slide_updates() is 'Trigger: logs what changed in slides, other than signed URLs, times and OCR text.';
comment on function private.audit_deletes() is 'Trigger: logs deleted rows.';
comment on function private.guard_audit_log() is 'Trigger: rejects every other write to the log.';
comment on function private.prune_audit_log(jsonb) is '{keep_days} -> {deleted}: removes entries that are older, at most 100,000 a call.';

revoke all on function private.audit_actor(), private.audit_post_inserts(),
  private.audit_slide_inserts(), private.audit_post_updates(), private.audit_slide_updates(),
  private.audit_deletes(), private.guard_audit_log(), private.prune_audit_log(jsonb)
  from public, anon, authenticated, service_role;
