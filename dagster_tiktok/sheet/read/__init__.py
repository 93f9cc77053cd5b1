"""From the cells of a tab to rows: headers, statuses, links, dates."""
