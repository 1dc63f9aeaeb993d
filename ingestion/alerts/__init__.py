"""Alerts on windows: rules, and what they say of windows as these are committed.

Here: what a rule is and how it is written (`rules`). Pure: no clock, no files, no Kafka.
Not here: where windows and alerts lie (`storage.lake`), how alerts are published (`ingestion.kafka`), when rules are
evaluated (`infra`), and anything that the stream's worker would wait for.
"""
