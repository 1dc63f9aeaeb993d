"""What a deployment's environment asks for, and the Python environment that is made of it.

Here: what is wanted (`wanted`), read from conda files (`conda`), requirement lines (`requirements`), Dockerfiles
(`dockerfile`) and images (`images`); whose names mean what (`names`); how far a pin may be moved (`relaxing`) and which
interpreter is nearest (`interpreters`); what uv said (`uv_words`). These decide, and touch nothing. `preparing` puts
them in order over two edges: `uv`, which runs that program, and `store`, the folder of finished environments.
Not here: which environment a deployment names (`storage.registry` and the catalog), processes that run in one
(`scoring.compute`).
"""
