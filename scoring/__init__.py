"""The job's path: from an invocation to its predictions.

Here: values with Azure Machine Learning's words (`endpoint`, `deployment`, `model`, `compute`, `job`, `schedule`,
`minibatch`, `manifest`), decisions as pure functions (`invoke`, `plan`, `retry`, `collect`, `lease`, `triggers`),
ports, and the engines that use them (`runner`, `scheduler`, `worker`). `specs` turns YAML into values, `drivers` run
users' scoring scripts inside a worker process, `compute` starts and feeds those processes.

Not here: files of the lake, databases (they are in `storage`, behind `scoring.ports`), sensors and windows
(`ingestion`), HTTP and command lines (`infra`). Nothing in this package imports those. `worker` and `drivers` run in
users' environments: they are written for Python 3.8 and import nothing but the standard library at their top.
"""
