"""The pages people look at: one question a page.

Here: Streamlit pages (`views`), cached reads (`data`), charts as pure functions from frames to specs (`charts`).

Not here: any write, any decision, any SQL. Pages read through `infra.client` and `storage.queries` only.
"""
