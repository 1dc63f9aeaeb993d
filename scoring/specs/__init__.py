"""From what people write (YAML, request bodies, `--set a.b=c`) to values, and back to what `show` prints.

Here: `document` (the safe loader, line numbers kept), `validation` (one parse for every kind, the wording of refusals),
`fields` (names, numbers, texts), `references` (every form of `azureml:…`, taken apart) and `places` (fields that say
where content lies), one file a kind (`endpoint`, `deployment`, `compute`, `model`, `data`, `environment`, `datastore`,
`schedule`, `invocation`), and `shown` and `shown_assets` (values to flat JSON objects).

Not here: whether a named thing exists, and anything that writes. Every refusal is `scoring.errors.InvalidInput`; it
names `file:line`, the field's path, what was found and what is allowed.
"""
