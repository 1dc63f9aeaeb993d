"""Adapters at rest: what plugs bytes into the ports of `ingestion` and `scoring`.

Here: the Delta lake (`lake`), Postgres (`postgres`: the one schema, its migrations and stores), what a job can read
(`inputs`), where predictions go (`sinks`), and the read side for pages, the API and SQL users (`queries`). Registered
things have their bytes in `registry` (`content`, `archive`), their versions by `registration`, their places by
`datastores`, and are found by `references`.

Not here: decisions. When a window closes, what a mini-batch holds or when a job has failed is decided in `ingestion`
and `scoring`; this package may import their values, errors and ports, never their engines. deltalake, duckdb,
sqlalchemy, psycopg2 and alembic are imported nowhere else.
"""
