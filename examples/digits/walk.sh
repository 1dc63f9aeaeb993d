#!/usr/bin/env bash
# From nothing to two deployments of one batch endpoint, and back to nothing: the how-to of Azure Machine Learning on
# deploying models to batch endpoints, in its order, with `tidemill` where it says `az ml`.
set -euo pipefail
cd "$(dirname "$0")"
# what came before the how-to: a service, images, and a model of each kind
. ../walk_start.sh

say "images of handwritten digits, and a model in torch and one in Keras"
python prepare.py data
python prepare.py torch
uv run --quiet --no-project --python "$(command -v python)" --with 'keras==3.15.1' --with 'torch==2.15.0' \
  --with pillow python prepare.py keras
SAMPLE_INPUT_URI=data/test

say "create compute"
tidemill compute create -n batch-cluster --type amlcompute --min-instances 0 --max-instances 5

say "create the endpoint"
ENDPOINT_NAME="digits-batch"
tidemill batch-endpoint create --file endpoint.yml --name $ENDPOINT_NAME

say "register the model, create the first deployment and make it the default"
MODEL_NAME='digit-classifier-torch'
tidemill model create --name $MODEL_NAME --type "custom_model" --path "deployment-torch/model"
tidemill batch-deployment create --file deployment-torch/deployment.yml --endpoint-name $ENDPOINT_NAME --set-default
DEPLOYMENT_NAME="digits-torch-dpl"
tidemill batch-deployment show --name $DEPLOYMENT_NAME --endpoint-name $ENDPOINT_NAME

say "invoke the endpoint, watch the job, look at the results"
JOB_NAME=$(tidemill batch-endpoint invoke --name $ENDPOINT_NAME --input $SAMPLE_INPUT_URI --input-type uri_folder --query name -o tsv)
tidemill job show -n "$JOB_NAME" --web
tidemill job stream -n "$JOB_NAME"
tidemill job download --name "$JOB_NAME" --output-name score --download-path "$RESULTS/torch"
TORCH=$(python accuracy.py "$(find "$RESULTS/torch" -name predictions.csv)")

say "configure where results go"
OUTPUT_FILE_NAME=predictions_$RANDOM.csv
OUTPUT_PATH="azureml://datastores/workspaceblobstore/paths/$ENDPOINT_NAME-$RANDOM"
JOB_NAME=$(tidemill batch-endpoint invoke --name $ENDPOINT_NAME --input $SAMPLE_INPUT_URI --output-path "$OUTPUT_PATH" --set output_file_name="$OUTPUT_FILE_NAME" --query name -o tsv)
tidemill job stream -n "$JOB_NAME"
tidemill job download --name "$JOB_NAME" --output-name score --download-path "$RESULTS/placed"
find "$RESULTS/placed" -name "$OUTPUT_FILE_NAME" | grep .

say "override settings for one job"
JOB_NAME=$(tidemill batch-endpoint invoke --name $ENDPOINT_NAME --input $SAMPLE_INPUT_URI --mini-batch-size 20 --instance-count 5 --query name -o tsv)
tidemill job stream -n "$JOB_NAME"

say "a second deployment, tested by its name"
tidemill batch-deployment create --file deployment-keras/deployment.yml --endpoint-name $ENDPOINT_NAME
DEPLOYMENT_NAME="digits-keras-dpl"
JOB_NAME=$(tidemill batch-endpoint invoke --name $ENDPOINT_NAME --deployment-name $DEPLOYMENT_NAME --input $SAMPLE_INPUT_URI --input-type uri_folder --query name -o tsv)
tidemill job show -n "$JOB_NAME" --web
tidemill job stream -n "$JOB_NAME"
tidemill job download --name "$JOB_NAME" --output-name score --download-path "$RESULTS/keras"
KERAS=$(python accuracy.py "$(find "$RESULTS/keras" -name predictions.csv)")

say "make it the default"
tidemill batch-endpoint update --name $ENDPOINT_NAME --set defaults.deployment_name=$DEPLOYMENT_NAME

say "delete the first deployment, then the endpoint with all it has"
tidemill batch-deployment delete --name digits-torch-dpl --endpoint-name $ENDPOINT_NAME --yes
tidemill batch-endpoint delete --name $ENDPOINT_NAME --yes

say "the jobs are still listed"
tidemill job list -o table

say "what the deployments read"
echo "torch: ${TORCH#accuracy of }" | sed "s#$RESULTS/##"
echo "keras: ${KERAS#accuracy of }" | sed "s#$RESULTS/##"
