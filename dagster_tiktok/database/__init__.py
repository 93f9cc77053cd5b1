"""The client of the database: the connection with its retries, typed functions, the ledger.

Here: one method for each SQL function, and what its errors mean. Not here: SQL text, which is in
`sql/migrations`, and decisions about units, which those functions make.
"""
