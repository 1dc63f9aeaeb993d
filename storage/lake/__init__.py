"""The Delta lake: Parquet files with a transaction log, partitioned by date.

Here: table paths and schemas (`tables`), how a missing one is made (`creation`), the window sink with its exactly-once
commits (`window_sink`), the predictions and ground-truth tables, what a version range added (`changes`).
Not here: when a window closes, which rows are late: `ingestion` decides that.
"""
