"""The client of the database: the connection, its functions, the ledger."""
