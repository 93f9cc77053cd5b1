-- Five days of each post, six of one in fifty, none from today on.
insert into public.post_metrics (
  post_id, captured_on, captured_at, views, likes, comments, shares, bookmarks, followers
)
select p.id, p.created_date + day, p.looked_at + interval '1 day' * day, p.views * (day + 1) / 6,
  p.views / 10, p.views / 100, p.views / 200, p.views / 300, 10000 + day
from benchmark.posts as p
cross join (values (0), (1), (2), (3), (4), (5)) as d (day)
where (day < 5 or p.id % 50 = 0) and p.created_date + day < (select today from benchmark.size);
