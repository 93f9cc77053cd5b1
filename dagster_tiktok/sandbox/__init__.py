"""Local stand-ins for TikTok, Google Sheets and Supabase that speak the real protocols."""
