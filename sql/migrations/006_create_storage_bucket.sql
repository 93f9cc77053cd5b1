-- The bucket of the slides. Anyone who knows an object's URL can read it, and nobody can list the
-- bucket. The secret key uploads; signed-in users do by the policy of 016. A public bucket serves
-- its objects without a SELECT policy, and such a policy would let users list it.

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
end
$$;
