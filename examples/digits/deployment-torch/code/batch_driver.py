"""Reads images of digits; one row a file: its name, the digit, the probability."""

import glob
import os
from os.path import basename

import numpy as np
import pandas as pd
import torch
from digit_classifier import DigitClassifier
from PIL import Image


def init() -> None:
    global model

    # the registered folder keeps its own name below AZUREML_MODEL_DIR
    model_file = glob.glob(os.path.join(os.environ["AZUREML_MODEL_DIR"], "*", "*.pt"))[-1]
    model = DigitClassifier()
    model.load_state_dict(torch.load(model_file, weights_only=True))
    model.eval()


def run(mini_batch: list[str]) -> pd.DataFrame:
    print(f"Executing run method over batch of {len(mini_batch)} files.")

    results = []
    with torch.no_grad():
        for image_path in mini_batch:
            pixels = np.asarray(Image.open(image_path), dtype=np.float32) / 255
            logits = model(torch.from_numpy(pixels)[None, None])
            probability, digit = torch.softmax(logits, dim=-1).max(dim=-1)
            results.append(
                {"file": basename(image_path), "class": digit.item(), "probability": round(probability.item(), 6)}
            )
    return pd.DataFrame(results)
