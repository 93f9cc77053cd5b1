-- For the tests: the part of Supabase Storage that the repair functions read, for a plain
-- PostgreSQL. Table, indexes, row level security and rights are those of a hosted project.
create schema storage;
grant usage on schema storage to anon, authenticated, service_role;
create table storage.buckets (id text primary key, name text not null, public boolean);
create table storage.objects (
  id uuid primary key default gen_random_uuid(),
  bucket_id text references storage.buckets (id),
  name text,
  owner uuid,
  created_at timestamptz default now(),
  updated_at timestamptz default now(),
  last_accessed_at timestamptz default now(),
  metadata jsonb
);
create unique index bucketid_objname on storage.objects (bucket_id, name);
create index idx_objects_bucket_id_name on storage.objects (bucket_id, name collate "C");
alter table storage.buckets enable row level security;
alter table storage.objects enable row level security;
grant all on storage.buckets, storage.objects to anon, authenticated, service_role;
insert into storage.buckets values ('tiktok-slides', 'tiktok-slides', true);
create policy "signed-in users upload slides" on storage.objects
  for insert to authenticated with check (bucket_id = 'tiktok-slides');
