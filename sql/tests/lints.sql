-- What Supabase's database linter (Advisors, in the dashboard) would find in this schema, under the
-- linter's names, followed by rules of this project. One row per finding; there should be none.
-- The tests run it. It can also be pasted into the SQL editor of a real project.
with tables as (
  select c.oid, c.relname::text as name, c.relrowsecurity as has_rls
  from pg_catalog.pg_class as c
  where c.relnamespace::regnamespace::text in ('public', 'private') and c.relkind in ('r', 'p')
), functions as (
  select p.*, p.oid::regprocedure::text as name
  from pg_catalog.pg_proc as p
  where p.pronamespace::regnamespace::text in ('public', 'private')
), grantees (id, who) as (
  select 0, 'public'
  union all
  select r.oid, r.rolname from pg_catalog.pg_roles as r where r.rolname in ('anon', 'authenticated')
), policies as (
  select p.polname::text as name, p.polrelid, p.polroles, p.polpermissive as is_permissive,
    c.relrowsecurity as has_rls, c.relnamespace::regnamespace::text || '.' || c.relname as on_table,
    case p.polcmd when '*' then '{r,a,w,d}' else array[p.polcmd::text] end as commands,
    pg_catalog.pg_get_expr(p.polqual, p.polrelid) as reads,
    pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) as writes
  from pg_catalog.pg_policy as p
  join pg_catalog.pg_class as c on c.oid = p.polrelid
  where c.relnamespace::regnamespace::text in ('public', 'private', 'storage')
), policies_by_role as (
  select p.*, grantees.who from policies as p join grantees on grantees.id = any (p.polroles)
)
select 'rls_disabled_in_public' as lint, t.name as found from tables as t where not t.has_rls
union all
select 'policy_exists_rls_disabled', p.on_table from policies as p where not p.has_rls
union all
select 'rls_enabled_no_policy', t.name from tables as t
where t.has_rls and not exists (select from policies as p where p.polrelid = t.oid)
union all
select 'rls_policy_always_true', p.name from policies_by_role as p
where p.is_permissive and (
  (p.commands && '{w,d}' and regexp_replace(p.reads, '[() ]', '', 'g') in ('true', '1=1'))
  or (p.commands && '{a,w}' and regexp_replace(p.writes, '[() ]', '', 'g') in ('true', '1=1'))
)
union all
-- A function in the condition runs once per row, unless it is in a subquery.
select 'auth_rls_initplan', p.name from policies as p
where regexp_replace(concat_ws(' ', p.reads, p.writes),
  'select\s+(auth\.\w+|current_setting)\(', '', 'gi') ~ '(auth\.\w+|current_setting)\('
union all
select 'multiple_permissive_policies', p.on_table
from policies_by_role as p, unnest(p.commands) as command
where p.is_permissive
group by p.on_table, p.who, command
having count(*) > 1
union all
-- A public bucket needs no such policy: its objects are read by URL.
select 'public_bucket_allows_listing', p.name from policies_by_role as p
where p.on_table = 'storage.objects' and p.is_permissive and 'r' = any (p.commands)
union all
select 'security_definer_view', c.relname from pg_catalog.pg_class as c
where c.relnamespace::regnamespace::text in ('public', 'private') and c.relkind = 'v'
  and not coalesce(c.reloptions, '{}') && '{security_invoker=true,security_invoker=on}'
union all
select 'materialized_view_in_api', c.relname from pg_catalog.pg_class as c
where c.relnamespace = 'public'::regnamespace and c.relkind = 'm'
union all
select 'extension_in_public', e.extname from pg_catalog.pg_extension as e
where e.extnamespace = 'public'::regnamespace
union all
select 'sensitive_columns_exposed', t.name || '.' || a.attname
from tables as t
join pg_catalog.pg_attribute as a on a.attrelid = t.oid and a.attnum > 0
where a.attname ~* '(password|passwd|passphrase|secret|token|api_?key|private_key|jwt|credential)'
  and (has_column_privilege('anon', t.oid, a.attnum, 'select')
    or has_column_privilege('authenticated', t.oid, a.attnum, 'select'))
union all
select 'function_search_path_mutable', f.name from functions as f
where not 'search_path=""' = any (coalesce(f.proconfig, '{}'))
union all
select r.rolname || '_security_definer_function_executable', f.name
from functions as f, pg_catalog.pg_roles as r
where f.prosecdef and r.rolname in ('anon', 'authenticated')
  and has_function_privilege(r.oid, f.oid, 'execute')
union all
select 'unindexed_foreign_keys', k.conname from pg_catalog.pg_constraint as k
where k.contype = 'f' and k.connamespace::regnamespace::text in ('public', 'private')
  and not exists (
    select from pg_catalog.pg_index as i
    where i.indrelid = k.conrelid and i.indpred is null
      and (string_to_array(i.indkey::text, ' ')::smallint[])[:cardinality(k.conkey)] @> k.conkey
  )
union all
select 'duplicate_index', string_agg(i.indexrelid::regclass::text, ', ' order by i.indexrelid)
from pg_catalog.pg_index as i
join tables as t on t.oid = i.indrelid
join pg_catalog.pg_class as c on c.oid = i.indexrelid
group by i.indrelid, c.relam, i.indkey::text, i.indclass::text, i.indoption::text,
  pg_catalog.pg_get_expr(i.indexprs, i.indrelid), pg_catalog.pg_get_expr(i.indpred, i.indrelid)
having count(*) > 1
union all
select 'no_primary_key', t.name from tables as t
where not exists (
  select from pg_catalog.pg_index as i where i.indrelid = t.oid and i.indisprimary
)

-- Rules of this project.
union all
select 'policy_without_role', p.name from policies as p where 0 = any (p.polroles)
union all
select 'function_executable_by_users', f.name
from functions as f, pg_catalog.pg_roles as r
where r.rolname in ('anon', 'authenticated') and has_function_privilege(r.oid, f.oid, 'execute')
union all
-- Signed-in users may read tables. No user has any other right on a table or a sequence.
select 'right_of_users', concat_ws(' ', grantees.who, held.privilege_type, c.relname)
from pg_catalog.pg_class as c
cross join lateral aclexplode(c.relacl) as held
join grantees on grantees.id = held.grantee
where c.relnamespace::regnamespace::text in ('public', 'private')
  and (c.relnamespace = 'public'::regnamespace
    and (grantees.who, held.privilege_type) = ('authenticated', 'SELECT')) is not true
union all
select 'private_schema_open_to_users', concat_ws(' ', grantees.who, held.privilege_type)
from pg_catalog.pg_namespace as n
cross join lateral aclexplode(n.nspacl) as held
join grantees on grantees.id = held.grantee
where n.nspname = 'private'
union all
select 'type_usable_by_users', t.oid::regtype::text
from pg_catalog.pg_type as t
cross join lateral aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) as held
join grantees on grantees.id = held.grantee
join pg_catalog.pg_class as c on c.oid = t.typrelid and c.relkind = 'c'
where t.typnamespace::regnamespace::text in ('public', 'private')
union all
-- A function that the REST API serves takes one jsonb. Everything else belongs in `private`.
select 'part_in_public', f.name from functions as f
where f.pronamespace = 'public'::regnamespace
  and not (f.pronargs = 1 and f.proargtypes[0] = 'jsonb'::regtype)
union all
select 'time_without_zone', t.name || '.' || a.attname
from tables as t
join pg_catalog.pg_attribute as a on a.attrelid = t.oid and a.attnum > 0
where a.atttypid = 'timestamp'::regtype
union all
select 'no_comment', t.name from tables as t
where pg_catalog.obj_description(t.oid, 'pg_class') is null
union all
select 'no_comment', t.name || '.' || a.attname
from tables as t
join pg_catalog.pg_attribute as a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
where pg_catalog.col_description(t.oid, a.attnum) is null
union all
select 'no_comment', f.name from functions as f
where pg_catalog.obj_description(f.oid, 'pg_proc') is null
order by lint, found
