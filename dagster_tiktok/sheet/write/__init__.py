"""Outcomes into the cells of a tab, while people sort, insert, delete and edit its rows.

How a write goes (`outcomes.OutcomeWriter`):

1. **Plan.** Read the formulas and the values (`consistent_read`), find the rows by their keys, and
   decide for each outcome: written, already written, or a conflict (`plan`, `error_column`).
2. **Leave out what formulas compute** (`computed_cells`, `arrays`): such a cell is never written.
3. **Write** in one request (`delivery`, `ranges`). Where Google rejects it because a cell is
   protected, the rest is found by halving. `protected_cells` tries the same without writing.
4. **Check.** Read again: are the header row and every array intact (`verification`,
   `header_repair`, `array_repair`, `deleted_columns`)? Is every outcome in its row, and nothing
   else overwritten (`corrections`)?
5. **Correct once.** Write what is missing, and restore what was overwritten (`restore`,
   `key_repair`). What is not certain becomes a conflict: reported, not overwritten.

Where rows and columns moved between two reads, `write_locator` finds the rows that the write
landed in, `row_matcher` the rows that are otherwise the same, `column_changes` where a column
stood before, and `previous_cells` what a cell held.

Google's errors and retries are in `api/`; which outcome a unit has is decided in `stages/`.
"""
