"""The read side: typed answers for pages, the API, `evaluate` and people who write SQL.

Here: where to read (`stores`), how the lake and Postgres are read (`lake`, `postgres`), one module a question
(`windows`, `predictions`, `evaluation`, `stream`, `jobs`, `overview`), and the engine of `tidemill sql` (`sql`). Every
function takes `Stores` and gives a frozen value or a pandas DataFrame whose columns its docstring lists. Times are UTC.

Not here: any write, and any decision about windows or jobs. A store that is away raises `errors.StoreAway`; a table
that nobody has written to yet is empty, not an error.
"""
