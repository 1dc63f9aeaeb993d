"""The Faust worker: takes messages of its partitions in offset order and hands them to the pipeline.

Here: the app and its process (`app`), how messages are polled and handed on many at a time (`transport`), the codecs
that its consumer needs (`compression`). The only package that imports faust, mode or aiokafka.

Not here: what a message means, which window it falls in, when one closes, what is committed: `ingestion.pipeline`
and what it uses decide that, without Faust. The consumer group's offsets are for onlookers; nothing resumes from them.
"""
