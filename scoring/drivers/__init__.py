"""What a worker process runs: one kind of model a file, loaded by `scoring.worker` inside the user's environment.

Here: `script` (scoring scripts with init/run/shutdown), and what it needs: `rows` (results to files), `tables` (part
files to a DataFrame), `entry_script` (the helper that Azure's scripts import), `failures` (the user's part of a
traceback).

Not here: anything newer than Python 3.8, any import but the standard library at a file's top, any import of tidemill's
packages. These files are loaded by their place, so that their names never meet a user's.
"""
