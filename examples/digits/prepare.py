"""Real handwriting, and the two models that read it.

    python prepare.py data     data/train.npz, data/test/*.png (one digit a file) and data/labels.csv from scikit-learn
    python prepare.py torch    deployment-torch/model/digits.pt
    python prepare.py keras    deployment-keras/model/digits.keras (needs Keras 3)

The digits are the test set of "Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak, UCI Machine
Learning Repository, CC BY 4.0), 1,797 images of 8 x 8 pixels, as shipped with scikit-learn.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
DATA = HERE / "data"
SEED = 7
TEST_IMAGES = 500


def write_data() -> None:
    import pandas as pd
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images * 255 / 16).round().astype(np.uint8)
    order = np.random.default_rng(SEED).permutation(len(images))
    test, train = order[:TEST_IMAGES], order[TEST_IMAGES:]
    (DATA / "test").mkdir(parents=True, exist_ok=True)
    np.savez_compressed(DATA / "train.npz", images=images[train], labels=digits.target[train])
    names = [f"digit-{number:04d}.png" for number in test]
    for name, image in zip(names, images[test], strict=True):
        Image.fromarray(image).save(DATA / "test" / name)
    pd.DataFrame({"file": names, "label": digits.target[test]}).to_csv(DATA / "labels.csv", index=False)
    print(f"{len(train)} images to train on, {len(test)} to score in {DATA / 'test'}")


def train_torch() -> None:
    import torch

    sys.path.insert(0, str(HERE / "deployment-torch" / "code"))
    from digit_classifier import DigitClassifier

    torch.manual_seed(SEED)
    images, labels = _training_set()
    pixels, wanted = torch.from_numpy(images)[:, None], torch.from_numpy(labels)
    model = DigitClassifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(30):
        for some in torch.randperm(len(pixels)).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(pixels[some]), wanted[some]).backward()
            optimizer.step()
    path = _model_path("torch", "digits.pt")
    torch.save(model.state_dict(), path)
    print(f"trained {path}")


def train_keras() -> None:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    keras.utils.set_random_seed(SEED)
    images, labels = _training_set()
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="sparse_categorical_crossentropy")
    model.fit(images[..., None], labels, epochs=30, batch_size=64, verbose=0)
    path = _model_path("keras", "digits.keras")
    model.save(path)
    print(f"trained {path}")


def _training_set() -> tuple[np.ndarray, np.ndarray]:
    """Pixels of 0..1 (n, 8, 8), float32; digits (n,), int64."""
    file = np.load(DATA / "train.npz")
    return file["images"].astype(np.float32) / 255, file["labels"].astype(np.int64)


def _model_path(flavour: str, name: str) -> Path:
    folder = HERE / f"deployment-{flavour}" / "model"
    folder.mkdir(exist_ok=True)
    return folder / name


if __name__ == "__main__":
    steps = {"data": write_data, "torch": train_torch, "keras": train_keras}
    if len(sys.argv) != 2 or sys.argv[1] not in steps:
        sys.exit(f"usage: prepare.py {'|'.join(steps)}")
    steps[sys.argv[1]]()
