-- Which texts in the column `Error` the pipeline wrote, in any version. Only hashes are kept, never
-- the text of a cell.

create table private.written_errors (
  error_hash text primary key
    constraint written_errors_error_hash_check check (error_hash ~ '^[0-9a-f]{64}$'),
  first_written_at timestamptz not null default private.current_instant()
);

alter table private.written_errors enable row level security;
revoke all on table private.written_errors from public, anon, authenticated, service_role;
grant select, insert on table private.written_errors to service_role;
create policy "nobody reads what was written" on private.written_errors
  as restrictive for all to anon, authenticated using (false) with check (false);

comment on table private.written_errors is 'Hashes of the texts that the pipeline wrote into the column Error. Any other text there belongs to a user.';
comment on column private.written_errors.error_hash is 'SHA-256 of the cell''s text in UTF-8, in hex.';
comment on column private.written_errors.first_written_at is 'When the text was first recorded, just before it was written.';

-- {found, writing} -> {known}: which of the hashes in `found` were recorded before this call; then
-- records `writing`. Call it before the write: a run that is killed in between leaves a text that
-- is known but was not written, never one that was written but is not known.
create function public.written_errors(p jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_known jsonb;
begin
  select coalesce(jsonb_agg(e.error_hash order by e.error_hash), '[]') into v_known
  from private.written_errors as e
  where e.error_hash in (
    select f.error_hash from jsonb_array_elements_text(p -> 'found') as f (error_hash)
  );
  -- In one order, so that two runs cannot deadlock.
  insert into private.written_errors (error_hash)
  select distinct w.error_hash
  from jsonb_array_elements_text(p -> 'writing') as w (error_hash)
  order by w.error_hash
  on conflict (error_hash) do nothing;
  return jsonb_build_object('known', v_known);
end
$$;

create or replace function public.schema_version(p jsonb default '{}') returns jsonb
language sql immutable
set search_path = ''
as $$ select jsonb_build_object('version', 18) $$;

comment on function public.written_errors(jsonb) is '{found, writing} -> {known}: which of these error texts the pipeline wrote; records those that it is about to write.';

revoke all on function public.written_errors(jsonb)
  from public, anon, authenticated, service_role;
grant execute on function public.written_errors(jsonb) to service_role;
