"""The Kafka client's one address: topics, publishing, dead letters. kafka-python is imported nowhere else.

Here: making clients (`connection`), creating and describing topics and waiting for a broker (`topics`), sending
readings (`publisher`), sending what could not be read (`dead_letters`).
Not here: what a message means (`ingestion.codec`), when a window closes (`ingestion.aggregator`), faust with its own
client (`ingestion.stream`).
"""
