"""What pipelines are made of: components, the steps that use them, and what is bound to what.

Here: `declared` (typed inputs and outputs, and the literals that fit them), `binding` (literal, data, the parent's
input, another step's output), `component` (command, parallel and pipeline components; the steps of a pipeline), `jobs`
(a pipeline or a command with its values: what is run), `registered` (a component's version in the registry), `graph`
(the order of steps, and what is wrong with their bindings), `values` (what a step's inputs are once its bindings are
known) and `templates` (command lines and paths with `${{…}}`). All of it is pure; the values are stored as documents.

Not here: how they are written (`scoring.specs`), and running them. Code folders and environments are registered
already: a component names them as the registry knows them.
"""
