-- What all filled tables agree on, computed and not stored. A post's number decides everything:
-- two years of days, 49 assistants, 300 creators and 500 accounts, a few of them with most posts.
create schema benchmark;
create view benchmark.size as
select current_setting('benchmark.posts')::bigint as posts,
  current_setting('benchmark.today')::date as today;

create function benchmark.share(number bigint, salt bigint) returns double precision
language sql immutable parallel safe
return (pg_catalog.hashint8extended(number, salt) & 16777215) / 16777216.0;

create view benchmark.posts as
select
  i as id,
  (7400000000000000000 + i * 1000)::text as tiktok_id,
  'https://www.tiktok.com/@' || who.account || '/photo/' || (7400000000000000000 + i * 1000)
    as post_url,
  who.account,
  day.created_date,
  day.looked_at,
  least(day.looked_at + interval '4 days', (select today from benchmark.size)::timestamptz)
    as last_scrape,
  case when i % 3 = 0 then 1 + (i / 3) % 11 else 0 end::integer as slide_count,
  'VA ' || floor(49 * power(benchmark.share(i, 1), 2)) as va,
  'Creator ' || floor(300 * power(benchmark.share(i, 2), 2)) as creator,
  (benchmark.share(i, 4) * 200)::integer as set_id,
  (benchmark.share(i, 5) * 100000)::bigint as views,
  md5(day.created_date::text)::uuid as batch_id
from generate_series(1, (select posts from benchmark.size)) as i
cross join lateral (
  select 'account' || floor(500 * power(benchmark.share(i, 3), 2)) as account
) as who
cross join lateral (
  select d as created_date, d + interval '12 hours' + interval '1 second' * (i % 3600) as looked_at
  from (
    select (select today from benchmark.size)
      - (730 - i * 730 / (select posts from benchmark.size))::integer as d
  ) as days
) as day;
