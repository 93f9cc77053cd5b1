-- Repair: compares slide rows with the objects in the bucket, which this database lists too, and
-- writes slide rows again. Objects are removed through the Storage API, never here.

-- Only the first three functions know the table of Supabase Storage. With versioning it also has
-- rows for earlier versions and delete markers; without versioning it lacks these columns.

-- The condition for an object `o` to be the current version.
create function private.current_object_condition() returns text
language plpgsql stable
set search_path = ''
as $$
begin
  if to_regclass('storage.objects') is null then
    raise exception 'this database has no storage.objects' using errcode = '0A000';
  end if;
  if exists (
    select from pg_catalog.pg_attribute as a
    where a.attrelid = to_regclass('storage.objects') and a.attname = 'archived_at'
      and not a.attisdropped
  ) then
    return 'o.archived_at is null and o.is_delete_marker is not true';
  end if;
  return 'true';
end
$$;

-- The objects with these names. `size` is NULL if Storage does not know it.
create function private.bucket_objects(bucket text, names text[])
returns table (name text, size bigint, stored_at timestamptz)
language plpgsql stable
set search_path = ''
as $$
begin
  if bucket is null then
    raise exception 'the name of the bucket is missing' using errcode = '22023';
  end if;
  return query execute format($query$
    select o.name,
      case when o.metadata ->> 'size' ~ '^[0-9]{1,18}$' then (o.metadata ->> 'size')::bigint end,
      greatest(o.created_at, o.updated_at)
    from (select distinct unnest($2)) as wanted (name)
    join storage.objects as o on o.bucket_id = $1 and o.name = wanted.name
    where %s
  $query$, private.current_object_condition()) using bucket, names;
end
$$;

-- The names of the next objects, in byte order whatever the collation of the database: a hosted
-- project has an index in that order.
create function private.next_objects(bucket text, after text, at_most integer)
returns table (name text)
language plpgsql stable
set search_path = ''
as $$
begin
  return query execute format($query$
    select o.name from storage.objects as o
    where o.bucket_id = $1 and o.name collate "C" > $2 and %s
    order by o.name collate "C"
    limit $3
  $query$, private.current_object_condition()) using bucket, after, at_most;
end
$$;

-- What is wrong with these slide rows. An object of unknown size is broken too: an upload that
-- never ended leaves one.
create function private.broken_slides(slide_ids bigint[], bucket text)
returns table (slide_id bigint, problem text, object_size bigint)
language sql stable
set search_path = ''
as $$
  select s.id, case when o.name is null then 'no_object' else 'other_size' end, o.size
  from public.tiktok_slides as s
  left join private.bucket_objects(broken_slides.bucket, array(
    select each_one.storage_path from public.tiktok_slides as each_one
    where each_one.id = any (slide_ids)
  )) as o on o.name = s.storage_path
  where s.id = any (slide_ids) and o.size is distinct from s.file_size
$$;

create function private.broken_slide_numbers(post_id bigint, bucket text) returns jsonb
language sql stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(s.slide_number order by s.slide_number), '[]')
  from private.broken_slides(array(
    select each_one.id from public.tiktok_slides as each_one
    where each_one.post_id = broken_slide_numbers.post_id
  ), broken_slide_numbers.bucket) as u
  join public.tiktok_slides as s on s.id = u.slide_id
$$;

-- {bucket, after?, limit?} -> {examined, after, slides: [{id, tiktok_id, slide_number,
-- storage_path, problem, file_size, object_size}]}
-- Checks the next `limit` slide rows after the id `after` and returns those that do not match the
-- bucket. problem: no_object or other_size. `after` is null when there are no more.
create function public.find_broken_slides(p jsonb) returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  v_bucket constant text := p ->> 'bucket';
  v_limit constant integer := coalesce((p ->> 'limit')::integer, 5000);
  v_ids bigint[];
begin
  if v_bucket is null or v_limit < 1 then
    raise exception 'find_broken_slides needs bucket, and a limit of at least 1'
      using errcode = '22023';
  end if;
  v_ids := array(
    select s.id from public.tiktok_slides as s
    where s.id > coalesce((p ->> 'after')::bigint, 0)
    order by s.id
    limit v_limit
  );
  return jsonb_build_object(
    'examined', cardinality(v_ids),
    'after', case when cardinality(v_ids) = v_limit then v_ids[v_limit] end,
    'slides', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'id', s.id, 'tiktok_id', t.tiktok_id, 'slide_number', s.slide_number,
        'storage_path', s.storage_path, 'problem', u.problem, 'file_size', s.file_size,
        'object_size', u.object_size
      ) order by s.id), '[]')
      from private.broken_slides(v_ids, v_bucket) as u
      join public.tiktok_slides as s on s.id = u.slide_id
      join public.tiktok_posts as t on t.id = s.post_id
    )
  );
end
$$;

-- {bucket, tiktok_id} -> {post_url, slides, broken}: the slides of a post as the pipeline's
-- StoredSlide, and the numbers of those that do not match the bucket. post_url null: no such post.
create function public.slides_to_repair(p jsonb) returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'post_url', t.post_url,
    'slides', private.known_slides(asked.tiktok_id),
    'broken', private.broken_slide_numbers(t.id, p ->> 'bucket')
  )
  from (values (p ->> 'tiktok_id')) as asked (tiktok_id)
  left join public.tiktok_posts as t using (tiktok_id)
$$;

-- {bucket, tiktok_id, slides: [{…, replaces}], slide_count?} -> {written, removed, broken}
-- Writes slides that are in the bucket now. `replaces` is the path that the row had when the repair
-- began (null: there was no row): a row that changed meanwhile is left alone. `slide_count`, unless
-- missing or 0, is how many slides TikTok shows now: rows beyond it are deleted, as after a scrape.
create function public.repair_slides(p jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_count constant integer := nullif((p ->> 'slide_count')::integer, 0);
  v_post public.tiktok_posts;
  v_slides jsonb;
  v_removed integer;
  v_written integer;
begin
  if jsonb_typeof(p -> 'slides') is distinct from 'array' or p ->> 'bucket' is null then
    raise exception 'repair_slides needs bucket, tiktok_id and slides' using errcode = '22023';
  end if;
  select t.* into v_post from public.tiktok_posts as t
  where t.tiktok_id = p ->> 'tiktok_id'
  for no key update;
  if not found then
    return '{"written": 0, "removed": 0, "broken": []}';
  end if;

  select coalesce(jsonb_agg(given.slide), '[]') into v_slides
  from jsonb_array_elements(p -> 'slides') as given (slide)
  left join public.tiktok_slides as s
    on s.post_id = v_post.id and s.slide_number = (given.slide ->> 'slide_number')::integer
  where s.storage_path is not distinct from given.slide ->> 'replaces';

  if v_count is not null then
    update public.tiktok_posts as t set slide_count = v_count
    where t.id = v_post.id and t.slide_count is distinct from v_count;
  end if;
  select count(*) into v_removed from public.tiktok_slides as s
  where s.post_id = v_post.id and s.slide_number > v_count;
  v_written := private.persist_slides(array[jsonb_populate_record(null::private.unit_payload,
    jsonb_build_object('tiktok_id', v_post.tiktok_id, 'post_url', v_post.post_url,
      'slides', v_slides))]);
  return jsonb_build_object('written', v_written, 'removed', v_removed,
    'broken', private.broken_slide_numbers(v_post.id, p ->> 'bucket'));
end
$$;

-- {bucket, older_than_hours, after?, limit?, names?} -> {examined, after, objects: [{name, size,
-- stored_at}]} Checks the next `limit` objects after the name `after`, or those with these `names`,
-- and returns the orphaned ones. Left out are objects that were stored within the last hours, and
-- those that a run may be about to name: objects of a post whose unit is in progress, and objects
-- in such a unit's payload.
create function public.find_orphaned_objects(p jsonb) returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  v_bucket constant text := p ->> 'bucket';
  v_limit constant integer := coalesce((p ->> 'limit')::integer, 5000);
  v_before constant timestamptz :=
    now() - make_interval(secs => 3600 * (p ->> 'older_than_hours')::double precision);
  v_names text[];
  v_examined integer;
  v_after text;
  v_objects jsonb := '[]';
begin
  if v_bucket is null or v_before is null or v_limit < 1 then
    raise exception 'find_orphaned_objects needs bucket and older_than_hours, and a limit of at '
      'least 1' using errcode = '22023';
  end if;
  if jsonb_typeof(p -> 'names') = 'array' then
    v_names := array(
      select o.name
      from private.bucket_objects(v_bucket, array(select jsonb_array_elements_text(p -> 'names')))
        as o
    );
  else
    v_names := array(
      select o.name from private.next_objects(v_bucket, coalesce(p ->> 'after', ''), v_limit) as o
    );
    v_after := case when cardinality(v_names) = v_limit then v_names[v_limit] end;
  end if;
  v_examined := cardinality(v_names);

  -- Nearly all objects are in the folder of their post, whose slide rows have an index. This only
  -- narrows the search: nothing is decided by an object's name.
  v_names := array(
    select n.name from unnest(v_names) as n (name)
    where (
      select true from public.tiktok_posts as t
      join public.tiktok_slides as s on s.post_id = t.id
      where t.tiktok_id = split_part(n.name, '/', 1) and s.storage_path = n.name
      limit 1
    ) is null
  );
  if cardinality(v_names) > 0 then
    with in_progress as materialized (
      select u.tiktok_id, u.slides from public.scrape_units as u
      where u.state in ('scraped', 'stored', 'persisted')
    ), named as (
      select s.storage_path as name
      from unnest(v_names) as n (name) join public.tiktok_slides as s on s.storage_path = n.name
      union all
      select x.storage_path
      from in_progress cross join jsonb_to_recordset(in_progress.slides) as x (storage_path text)
      where jsonb_typeof(in_progress.slides) = 'array'
    )
    select coalesce(jsonb_agg(jsonb_build_object(
      'name', o.name, 'size', o.size, 'stored_at', o.stored_at
    ) order by o.name collate "C"), '[]') into v_objects
    from private.bucket_objects(v_bucket, v_names) as o
    where o.stored_at < v_before
      and not exists (select from named where named.name = o.name)
      and not exists (select from in_progress where in_progress.tiktok_id = split_part(o.name, '/', 1))
      -- If the post still lists the image, the slide row was lost, not the image.
      and not exists (
        select from public.tiktok_posts as t
        cross join jsonb_array_elements_text(t.slides) as shown (url)
        where t.tiktok_id = split_part(o.name, '/', 1) and jsonb_typeof(t.slides) = 'array'
          and right(shown.url, length(o.name) + 1) = '/' || o.name
      );
  end if;
  return jsonb_build_object('examined', v_examined, 'after', v_after, 'objects', v_objects);
end
$$;

create or replace function public.schema_version(p jsonb default '{}') returns jsonb
language sql immutable
set search_path = ''
as $$ select jsonb_build_object('version', 15) $$;

comment on function public.find_broken_slides(jsonb) is '{bucket, after, limit} -> {examined, after, slides}: slide rows that have no object, or one of another size.';
comment on function public.slides_to_repair(jsonb) is '{bucket, tiktok_id} -> {post_url, slides, broken}: the slides of a post, and the numbers of the broken ones.';
comment on function public.repair_slides(jsonb) is '{bucket, tiktok_id, slides, slide_count} -> {written, removed, broken}: writes slides that were stored again.';
comment on function public.find_orphaned_objects(jsonb) is '{bucket, older_than_hours, after, limit, names} -> {examined, after, objects}: objects without a slide row.';
comment on function private.broken_slides(bigint[], text) is 'Helper of the repair functions: slide rows that do not match the bucket.';
comment on function private.broken_slide_numbers(bigint, text) is 'Helper of slides_to_repair and repair_slides: the numbers of a post''s slides that do not match the bucket.';
comment on function private.current_object_condition() is 'Helper of the repair functions: the condition for the current version of an object.';
comment on function private.bucket_objects(text, text[]) is 'Helper of the repair functions: objects by name.';
comment on function private.next_objects(text, text, integer) is 'Helper of find_orphaned_objects: the names of the next objects.';

revoke all on function public.find_broken_slides(jsonb), public.slides_to_repair(jsonb),
  public.repair_slides(jsonb), public.find_orphaned_objects(jsonb),
  private.broken_slides(bigint[], text), private.broken_slide_numbers(bigint, text),
  private.current_object_condition(), private.bucket_objects(text, text[]),
  private.next_objects(text, text, integer)
  from public, anon, authenticated, service_role;
grant execute on function public.find_broken_slides(jsonb), public.slides_to_repair(jsonb),
  public.repair_slides(jsonb), public.find_orphaned_objects(jsonb),
  private.broken_slides(bigint[], text), private.broken_slide_numbers(bigint, text),
  private.current_object_condition(), private.bucket_objects(text, text[]),
  private.next_objects(text, text, integer)
  to service_role;
