"""The reading's path: from a sensor's sample to a closed window.

Here: values (`reading`, `window`), decisions as pure functions (`codec`, `watermark`, `aggregator`), ports, and
the engines that move readings: simulated sensors (`sensors`), recorded ones (`replay`), Kafka (`kafka`) and Faust
(`stream`).

Not here: files, tables and databases (they are in `storage`, behind the ports of `ingestion.ports`), models and jobs
(`scoring`), processes and command lines (`infra`). Nothing in this package imports those. The Kafka client is imported
in `ingestion.kafka` only, faust in `ingestion.stream` only; everything else runs in memory.
"""
