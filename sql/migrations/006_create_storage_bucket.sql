-- The bucket of the slides: objects are readable by address, nobody lists them, signed-in users
-- and the secret key upload. A public bucket serves its objects without a SELECT policy, and such
-- a policy would let people list it.

do $$
begin
  -- A plain PostgreSQL has no storage; everything else of this schema works there.
  if to_regclass('storage.buckets') is null then
    raise notice 'no storage schema: the bucket tiktok-slides is not created';
    return;
  end if;

  insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
  values (
    'tiktok-slides', 'tiktok-slides', true, 20 * 1024 * 1024,
    array['image/jpeg', 'image/png', 'image/webp', 'image/avif', 'image/gif']
  )
  on conflict (id) do update set
    public = excluded.public,
    file_size_limit = excluded.file_size_limit,
    allowed_mime_types = excluded.allowed_mime_types;

  drop policy if exists "signed-in users upload slides" on storage.objects;
  create policy "signed-in users upload slides" on storage.objects
    for insert to authenticated with check (bucket_id = 'tiktok-slides');
end
$$;
