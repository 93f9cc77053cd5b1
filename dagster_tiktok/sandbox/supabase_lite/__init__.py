"""A local Supabase: Supabase's own `@supabase/lite` as a child process."""
