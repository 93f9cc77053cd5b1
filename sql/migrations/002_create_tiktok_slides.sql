-- One row per carousel slide that is stored in the bucket.

create table public.tiktok_slides (
  id bigint generated always as identity primary key,
  post_id bigint not null references public.tiktok_posts (id) on delete cascade,
  post_url text not null,
  slide_number integer not null
    constraint tiktok_slides_slide_number_check check (slide_number between 1 and 35),
  slide_url text not null,
  storage_path text not null,
  public_url text not null,
  file_size bigint not null constraint tiktok_slides_file_size_check check (file_size > 0),
  width integer not null constraint tiktok_slides_width_check check (width > 0),
  height integer not null constraint tiktok_slides_height_check check (height > 0),
  mime_type text not null
    constraint tiktok_slides_mime_type_check
    -- The types that the bucket accepts (006).
    check (mime_type in ('image/jpeg', 'image/png', 'image/webp', 'image/avif', 'image/gif')),
  content_hash text not null
    constraint tiktok_slides_content_hash_check check (content_hash ~ '^[0-9a-f]{64}$'),
  ocr_text text,
  ocr_processed boolean not null default false,
  downloaded_at timestamptz not null,
  uploaded_at timestamptz not null,
  constraint tiktok_slides_post_id_slide_number_key unique (post_id, slide_number)
);

comment on table public.tiktok_slides is 'One row per carousel slide that is stored in the bucket.';
comment on column public.tiktok_slides.id is 'Internal id.';
comment on column public.tiktok_slides.post_id is 'The post (tiktok_posts.id).';
comment on column public.tiktok_slides.post_url is 'The canonical URL of the post.';
comment on column public.tiktok_slides.slide_number is 'Position in the carousel, from 1.';
comment on column public.tiktok_slides.slide_url is 'The CDN URL that the image came from; signed, so it expires.';
comment on column public.tiktok_slides.storage_path is 'Path of the object in the bucket.';
comment on column public.tiktok_slides.public_url is 'URL of the stored image.';
comment on column public.tiktok_slides.file_size is 'Bytes.';
comment on column public.tiktok_slides.width is 'Pixels.';
comment on column public.tiktok_slides.height is 'Pixels.';
comment on column public.tiktok_slides.mime_type is 'Type of the image, detected from its bytes.';
comment on column public.tiktok_slides.content_hash is 'sha256 of the bytes, in hex.';
comment on column public.tiktok_slides.ocr_text is 'Text recognised in the image.';
comment on column public.tiktok_slides.ocr_processed is 'Whether text recognition has processed this image.';
comment on column public.tiktok_slides.downloaded_at is 'When the image was downloaded from TikTok.';
comment on column public.tiktok_slides.uploaded_at is 'When the image was stored in the bucket.';
