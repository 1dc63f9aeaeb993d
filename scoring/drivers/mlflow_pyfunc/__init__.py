"""The code folder of deployments that score an MLflow model without a script of their own.

Here: `mlflow_pyfunc.py`, a scoring script like any other, which runs in the model's environment: Python 3.8, and what
the model brings.
Not here: anything that another folder's module needs; the folder is copied for each job as users' code folders are.
"""
