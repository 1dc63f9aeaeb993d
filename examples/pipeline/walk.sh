#!/usr/bin/env bash
# The two kinds of deployments side by side on one batch endpoint: a model that scores prepared files, and a pipeline
# that prepares them, scores them and sums up; its steps are those of the pipeline that made the model.
set -euo pipefail
cd "$(dirname "$0")"
. ../walk_start.sh

say "readings, a compute, an endpoint"
python make_data.py
tidemill compute create -n batch-cluster --type amlcompute --min-instances 0 --max-instances 3
tidemill batch-endpoint create --file endpoint.yml
ENDPOINT=pump-inspection

say "a pipeline learns what is usual, and what it wrote is registered as a model"
LEARNED=$(tidemill job create --file learn.yml --query name -o tsv)
tidemill job stream --name "$LEARNED"
tidemill model create --name pump-limits --path "azureml://jobs/$LEARNED/outputs/limits/paths/"

say "its first step is registered, to be used again"
tidemill component create --file prepare/prepare.yml
tidemill component list -o table

say "a deployment of the pipeline, invoked by its name with values for its inputs"
tidemill batch-deployment create --file deployment-pipeline.yml
JOB=$(tidemill batch-endpoint invoke --name $ENDPOINT --deployment-name whole --file day.yml --query name -o tsv)
tidemill job stream --name "$JOB"
tidemill job list --parent-job-name "$JOB" -o table
tidemill job download --name "$JOB" --output-name summary --download-path "$RESULTS/whole"
find "$RESULTS/whole" -name summary.txt -exec cat {} +

say "a deployment of the model, the endpoint's default, invoked on what the pipeline has prepared"
tidemill batch-deployment create --file deployment-model.yml --set-default
PREPARED="azureml://jobs/$JOB.prepare/outputs/means/paths/"
SCORED=$(tidemill batch-endpoint invoke --name $ENDPOINT --input "$PREPARED" --query name -o tsv)
tidemill job stream --name "$SCORED"
tidemill job download --name "$SCORED" --output-name score --download-path "$RESULTS/prepared"
grep sick "$RESULTS/prepared/rows.csv" | sort

say "the same inputs again: no step is run twice"
AGAIN=$(tidemill batch-endpoint invoke --name $ENDPOINT --deployment-name whole --file day.yml --query name -o tsv)
tidemill job stream --name "$AGAIN"
tidemill job list --parent-job-name "$AGAIN" --query "[].[name, status, reused_from]" -o tsv

say "a deployment of the pipeline's job, as it was run"
tidemill batch-deployment create --file deployment-job.yml --set job_definition="azureml:$LEARNED"
tidemill batch-deployment list --endpoint-name $ENDPOINT --query "[].name" -o tsv

say "delete the endpoint with all it has"
tidemill batch-endpoint delete --name $ENDPOINT --yes
