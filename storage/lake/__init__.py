"""The Delta lake: Parquet files with a transaction log, partitioned by date.

Here: table paths and schemas (`tables`), how a missing one is made (`creation`), the window sink with its exactly-once
commits (`window_sink`), the predictions and ground-truth tables, decisions on dead letters (`letter_decisions`), alerts
(`alerts`), what a version range added (`changes`), small files joined and superseded ones deleted (`compaction`,
`vacuum`, `upkeep`).
Not here: when a window closes, which rows are late: `ingestion` decides that.
"""
