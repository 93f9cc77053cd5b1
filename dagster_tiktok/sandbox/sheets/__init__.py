"""A stand-in for the Google Sheets API, with one spreadsheet."""
