"""Keras 3 on TensorFlow: `model.fit` on arrays in memory. Runs in an environment of its own (`tensorflow-cpu keras`).

    python keras_fit.py ARRAYS [--variant elu_he|bn] [--batch-size 32] [--epochs 3]

Prints a JSON line an epoch: `train_s`, seconds of the training steps, and `epoch_s`, the same with validation. An
epoch lasts from the end of the one before, so what Keras does between two epochs is counted.
"""

import argparse
import json
import os
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
from keras import layers


class Clock(keras.callbacks.Callback):
    """Prints the times of every epoch."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self.start = time.perf_counter()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """The training steps are over."""
        self.trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Print, and start the next epoch; Keras has validated by now."""
        end = time.perf_counter()
        times = {"train_s": self.trained - self.start, "epoch_s": end - self.start}
        metrics = {"val_loss": logs["val_loss"], "val_acc": logs["val_accuracy"]} if logs else {}
        print(json.dumps({"epoch": epoch, **times, **metrics}), flush=True)
        self.start = end


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("arrays")
    parser.add_argument("--variant", choices=("elu_he", "bn"), default="elu_he")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3)
    args = parser.parse_args()
    keras.utils.set_random_seed(1)
    arrays = np.load(args.arrays)
    train_x, val_x = (arrays[k].astype(np.float32) / 255 for k in ("train_x", "val_x"))
    model = build_model(batch_norm=args.variant == "bn")
    model.compile(optimizer=keras.optimizers.Nadam(1e-4), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        train_x,
        arrays["train_y"],
        batch_size=args.batch_size,
        epochs=args.epochs,
        validation_data=(val_x, arrays["val_y"]),
        callbacks=[Clock()],
        verbose=0,
    )


def build_model(batch_norm: bool) -> keras.Sequential:
    """20 hidden layers of 100 units, ELU, He initialization; with batch normalization before ELU or not."""
    model = keras.Sequential([keras.Input((3, 32, 32)), layers.Flatten()])
    for _ in range(20):
        model.add(layers.Dense(100, kernel_initializer="he_normal", use_bias=not batch_norm))
        if batch_norm:
            model.add(layers.BatchNormalization())
        model.add(layers.Activation("elu"))
    model.add(layers.Dense(10, activation="softmax"))
    return model


if __name__ == "__main__":
    main()
