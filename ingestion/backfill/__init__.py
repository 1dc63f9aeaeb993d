"""The stream's windows made anew from history: which readings it takes, what came of them, what of it is written.

Here: which part of a topic or of recorded files has to be read (`reads`, `recorded`), the comparison with what a table
holds (`judgement`), and the engine that lets the stream's own pipeline fold history (`engine`), behind two ports.

Not here: Kafka (`ingestion.kafka.history`), the lake (`storage.lake.backfill_table`), how readings become windows: that
is the pipeline's and the aggregator's alone, or rows would not be those of the live stream.
"""
