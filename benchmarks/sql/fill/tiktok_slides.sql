insert into public.tiktok_slides (
  post_id, post_url, slide_number, slide_url, storage_path, public_url, file_size, width, height,
  mime_type, content_hash, downloaded_at, uploaded_at
)
select p.id, p.post_url, n,
  'https://p16-common-sign.tiktokcdn-eu.com/tos-maliva-i-photomode-us/' || md5(p.id || '/' || n)
    || '~tplv-photomode-image.jpeg?dr=9616&x-expires=1794913200&x-signature=' || repeat('s', 28),
  file.path,
  'https://example.supabase.co/storage/v1/object/public/tiktok-slides/' || file.path,
  150000 + n, 1080, 1440, 'image/jpeg', md5(p.id || '/' || n) || md5(n || '/' || p.id),
  p.looked_at, p.looked_at + interval '1 second'
from benchmark.posts as p
cross join lateral generate_series(1, p.slide_count) as n
cross join lateral (
  select p.tiktok_id || '/' || lpad(n::text, 2, '0') || '-' || left(md5(p.id || '/' || n), 16)
    || '.jpeg' as path
) as file;
