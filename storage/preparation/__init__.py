"""How a stream's definition prepares readings, with DuckDB: its expressions, its static tables, one SELECT a batch.

Here: which SQL is taken (`expressions`), the statement and the types of its columns (`statement`), versions of the
static data (`static_versions`), and the adapter of `ingestion.preparation.RowPreparation` (`rows`).
Not here: windows, and what a document may say (`ingestion.definition_document`).
"""
