-- As the triggers leave them: every post and slide when it was new, every post when it was over.
insert into public.audit_log (table_name, row_id, operation, before, after, actor, changed_at)
select entry.table_name, entry.row_id, entry.operation, entry.before, entry.after, 'service_role',
  entry.changed_at
from benchmark.posts as p
cross join lateral (
  select 'tiktok_posts' as table_name, p.id as row_id, 'insert' as operation,
    null::jsonb as before,
    jsonb_build_object('tiktok_id', p.tiktok_id, 'post_url', p.post_url, 'va_url',
      p.post_url || '?is_from_webapp=1') as after,
    p.looked_at as changed_at
  union all
  select 'tiktok_slides', p.id * 2 + n, 'insert', null,
    jsonb_build_object('post_id', p.id, 'slide_number', n, 'storage_path',
      p.tiktok_id || '/' || lpad(n::text, 2, '0') || '-' || left(md5(p.id || '/' || n), 16)
      || '.jpeg'),
    p.looked_at
  from generate_series(1, p.slide_count) as n
  union all
  select 'tiktok_posts', p.id, 'update', '{"scrape_status": "active"}',
    '{"scrape_status": "completed"}', p.looked_at
) as entry;
