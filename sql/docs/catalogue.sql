-- The schemas `public` and `private` as one jsonb, for docs/schema.md (tools/schema_docs.py).
-- Tables, columns and policies are in the order in which the migrations create them.
with own as (
  select c.oid, c.relkind, c.reltype, n.nspname as schema,
    case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname as relname
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
  where n.nspname in ('public', 'private')
), roles (name) as (
  values ('anon'), ('authenticated'), ('service_role')
)
select jsonb_build_object(
  'tables', (
    select jsonb_agg(jsonb_build_object(
      'name', t.relname,
      'comment', obj_description(t.oid, 'pg_class'),
      'rights', array(
        select roles.name || ': ' || string_agg(right_to.name || (
          select coalesce(' but ' || string_agg(a.attname, ' and ' order by a.attnum), '')
          from pg_attribute as a
          where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
            and right_to.name <> 'delete'
            and not has_column_privilege(roles.name, t.oid, a.attnum, right_to.name)
        ), ', ' order by right_to.place)
        from roles,
          unnest('{select,insert,update,delete}'::text[]) with ordinality as right_to (name, place)
        where has_table_privilege(roles.name, t.oid, right_to.name)
          or right_to.name <> 'delete'
          and has_any_column_privilege(roles.name, t.oid, right_to.name)
        group by roles.name
        order by roles.name
      ),
      'columns', (
        select jsonb_agg(jsonb_build_object(
          'name', a.attname,
          'type', replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone',
            'timestamptz'),
          'nullable', not a.attnotnull,
          'default', case
            when a.attidentity <> '' then 'identity'
            when a.attgenerated <> '' then 'computed'
            else pg_get_expr(d.adbin, d.adrelid)
          end,
          'comment', col_description(t.oid, a.attnum),
          'keys', array(
            select case k.contype when 'p' then 'PK' when 'f' then 'FK' else 'UK' end
            from pg_constraint as k
            where k.conrelid = t.oid and a.attnum = any (k.conkey)
              and (k.contype in ('p', 'f') or k.contype = 'u' and cardinality(k.conkey) = 1)
            order by k.contype desc
          ),
          'parent', (
            select k.confrelid::regclass
            from pg_constraint as k
            where k.conrelid = t.oid and k.contype = 'f' and a.attnum = any (k.conkey)
          )
        ) order by a.attnum)
        from pg_attribute as a
        left join pg_attrdef as d on d.adrelid = t.oid and d.adnum = a.attnum
        where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
      ),
      'constraints', (
        select jsonb_object_agg(k.conname, pg_get_constraintdef(k.oid, true))
        from pg_constraint as k
        where k.conrelid = t.oid and k.contype in ('p', 'u', 'f', 'c')
      ),
      'indexes', (
        select jsonb_object_agg(c.relname,
          substring(pg_get_indexdef(c.oid) from ' USING (.*)'))
        from pg_index as i
        join pg_class as c on c.oid = i.indexrelid
        where i.indrelid = t.oid
          and not exists (select from pg_constraint as k where k.conindid = i.indexrelid)
      ),
      'policies', (
        select jsonb_object_agg(p.policyname, concat_ws(' ', lower(p.permissive), 'for',
          lower(p.cmd), 'to', array_to_string(p.roles, ', '), 'using', p.qual,
          'with check ' || p.with_check))
        from pg_policies as p
        where format('%I.%I', p.schemaname, p.tablename)::regclass = t.oid
      ),
      'triggers', (
        select jsonb_object_agg(g.tgname, g.tgfoid::regproc)
        from pg_trigger as g
        where g.tgrelid = t.oid and not g.tgisinternal
      )
    ) order by t.oid)
    from own as t
    where t.relkind = 'r'
  ),
  'functions', (
    select jsonb_agg(jsonb_build_object(
      'name', p.proname,
      'signature', format('%s%s(%s) → %s',
        case n.nspname when 'private' then 'private.' end, p.proname, pg_get_function_arguments(p.oid),
        pg_get_function_result(p.oid)),
      'comment', obj_description(p.oid, 'pg_proc'),
      'definer', p.prosecdef,
      'callers', array(
        select roles.name from roles
        where has_function_privilege(roles.name, p.oid, 'execute')
        order by roles.name
      ),
      'kind', case
        when p.prorettype = 'trigger'::regtype then 'trigger'
        when n.nspname = 'public' then 'interface'
        else 'part'
      end
    ) order by p.proname)
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname in ('public', 'private')
  ),
  'types', (
    select jsonb_object_agg(c.relname, obj_description(c.reltype, 'pg_type'))
    from own as c
    where c.relkind = 'c'
  )
)
