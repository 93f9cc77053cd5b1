"""A local Supabase: Supabase's own `@supabase/lite` as a child process.

Here: installing, starting and stopping it, and its migrations. Not here: a substitute for a
function of the database; the SQL is that of `sql/migrations`.
"""
