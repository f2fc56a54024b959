"""The network, the data set and a training of myproject."""

from pathlib import Path

import pytest
import torch
from myproject.images import Stripes
from myproject.networks import SmallCNN

import trainlab

CONF = Path(__file__).parents[1] / "conf"


@pytest.mark.parametrize("image_shape", [(3, 16, 16), (1, 28, 20)])
def test_the_network_returns_a_logit_for_each_class(image_shape: tuple[int, int, int]) -> None:
    network = SmallCNN(image_shape, num_classes=5)
    assert network(torch.rand(2, *image_shape)).shape == (2, 5)


def test_the_data_set_has_the_images_that_it_announces() -> None:
    data = Stripes(num_train=36, num_test=6, val_size=9)
    images = data.read()
    assert images.train.shape == (data.count_train_images(), *data.image_shape)
    assert images.train.dtype == torch.uint8
    assert images.test.shape == (6, *data.image_shape)
    assert images.train_labels.unique().tolist() == list(range(data.count_classes()))


def test_the_first_experiment_learns(tmp_path: Path) -> None:
    overrides = ["experiment=first", f"output_dir={tmp_path}", "name=run", "trainer=cpu", "callbacks.progress=null"]
    result = trainlab.train(trainlab.compose(overrides, config_dir=CONF))
    assert result.status == "completed"
    assert result.metrics["val_acc"] > 0.6  # 1/9 by chance
