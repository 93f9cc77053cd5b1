"""A local Supabase: Supabase's own `@supabase/lite` as a child process.

Here: installing, starting and stopping it, and its migrations. Not here: fake versions of database
functions; the SQL comes from `sql/migrations`.
"""
