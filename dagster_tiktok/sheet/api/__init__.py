"""The way to Google Sheets: sign-in, requests within the quota, what its errors mean."""
