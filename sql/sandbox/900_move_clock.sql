-- For the sandbox and the tests only, never a migration of the product: plays days of the future or
-- the past. The product still calls its own function for the time.

do $$
begin
  if to_regnamespace('sandbox') is null then
    raise exception 'this is not a database of the sandbox: its clock must stay the real one'
      using hint = 'Apply sql/migrations alone.';
  end if;
end
$$;

grant usage on schema sandbox to service_role;

create table sandbox.clock (
  is_only_row boolean primary key default true check (is_only_row),
  ahead interval not null
);
insert into sandbox.clock (ahead) values (interval '0');
alter table sandbox.clock enable row level security;
create policy "the pipeline reads the clock" on sandbox.clock
  for all to service_role using (ahead is not null) with check (ahead is not null);
revoke all on table sandbox.clock from public, anon, authenticated, service_role;
grant select, update on table sandbox.clock to service_role;

create or replace function private.current_instant() returns timestamptz
language sql stable
set search_path = ''
as $$ select now() + c.ahead from sandbox.clock as c $$;

-- {to} or {by_seconds} -> {now}: moves the clock, which then runs on. {by_seconds: 0} only reads
-- it.
create function public.sandbox_clock(p jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  update sandbox.clock as c set ahead = case
    when p ? 'to' then (p ->> 'to')::timestamptz - now()
    else c.ahead + make_interval(secs => (p ->> 'by_seconds')::double precision)
  end
  where true;
  return jsonb_build_object('now', private.current_instant());
end
$$;

comment on table sandbox.clock is 'Sandbox: how far its clock is ahead of the real one.';
comment on column sandbox.clock.is_only_row is 'There is one row.';
comment on column sandbox.clock.ahead is 'Negative if the clock is behind.';
comment on function public.sandbox_clock(jsonb) is 'Sandbox: moves the clock that decides which day it is.';
revoke all on function public.sandbox_clock(jsonb) from public, anon, authenticated;
grant execute on function public.sandbox_clock(jsonb) to service_role;
