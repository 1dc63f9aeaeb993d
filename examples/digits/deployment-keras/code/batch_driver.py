"""Reads images of digits with a Keras model; one row a file: its name, the digit, the probability."""

import os
from os.path import basename

import keras
import numpy as np
import pandas as pd
from PIL import Image


def init() -> None:
    global model

    model = keras.models.load_model(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model", "digits.keras"))


def run(mini_batch: list[str]) -> pd.DataFrame:
    print(f"Executing run method over batch of {len(mini_batch)} files.")

    results = []
    for image_path in mini_batch:
        pixels = np.asarray(Image.open(image_path), dtype=np.float32) / 255
        probabilities = model.predict(pixels[None, :, :, None], verbose=0)[0]
        digit = int(probabilities.argmax())
        results.append(
            {"file": basename(image_path), "class": digit, "probability": round(float(probabilities[digit]), 6)}
        )
    return pd.DataFrame(results)
