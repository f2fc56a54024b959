"""`experiment=airbench94` at tiny size, against the same recipe as a plain loop."""

from types import ModuleType

import pytest
import torch
from torch.nn import functional

from documented import PROJECT
from faults import PressCtrlC
from same_runs import assert_same_run
from trainlab.config.build import build
from trainlab.run import initial_network
from trainlab.runs.checkpoints import load_checkpoint, network_weights
from trainlab.runs.errors import Interrupted

PER_EPOCH, STEPS = (
    3,
    16,
)  # slow weights start in step 10, follow in step 15, and end the training inside the sixth epoch
TINY = (
    *(
        "experiment=airbench94",
        "data.num_train=80",
        "data.val_size=20",
        "data.num_test=20",
        "data.batch_size=8",
        "model.stages=[[4,4],[4,4],[4,4]]",
    ),
    *(f"trainer.limit_train_batches={PER_EPOCH}", "trainer.max_epochs=6", f"trainer.max_steps={STEPS}"),
)


@pytest.fixture
def loop(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    return pytest.importorskip("airbench94_loop")


def test_weights_and_test_are_those_of_a_plain_loop(loop, train, compose_config):
    settings = (*TINY, "trainer.precision=64-true")
    config = compose_config(*settings, name="start")
    data, start = build(config).data, initial_network(config)
    images = torch.cat([*data.train_images()]).double()
    mean, std = images.mean((0, 2, 3), keepdim=True), images.std((0, 2, 3), keepdim=True)
    torch.testing.assert_close(start.scaling(images), (images - mean) / std, rtol=0, atol=1e-3)  # std of N and N - 1
    network = loop.build_network((4, 4, 4)).double()
    loop.whiten(network[0], start.scaling(images))
    ours = start.module.state_dict()
    torch.testing.assert_close(network[0].weight.abs(), ours["whitening.weight"].abs(), rtol=1e-4, atol=1e-4)
    assert [t.shape for t in network.state_dict().values()] == [t.shape for t in ours.values()]
    network.load_state_dict(dict(zip(network.state_dict(), ours.values(), strict=True)))

    def batches(epoch):
        loader = data.train_dataloader()
        loader.set_epoch(epoch)
        for _, (x, y) in zip(range(PER_EPOCH), loader, strict=False):
            yield start.scaling(x), y

    assert [*loop.train(network, batches, STEPS, torch.float32)] == [*range(6)]
    result, folder = train(*settings)
    found = network_weights(load_checkpoint(folder / "checkpoints" / "last.ckpt"))
    for key, expected in zip(ours, network.state_dict().values(), strict=True):
        torch.testing.assert_close(found[f"module.{key}"], expected, rtol=1e-6, atol=1e-8, msg=key)
    moved = {key for key in ours if not torch.equal(found[f"module.{key}"], ours[key])}
    assert {key for key in ours if key not in moved} == {"whitening.weight", *(k for k in ours if is_scale(k))}
    best = network_weights(load_checkpoint(folder / "checkpoints" / "best.ckpt"))
    network.load_state_dict({k: best[f"module.{key}"] for k, key in zip(network.state_dict(), ours, strict=True)})
    test, labels = (torch.cat(part) for part in zip(*data.test_dataloader(), strict=True))
    with torch.no_grad():
        logits = loop.six(network.eval(), start.scaling(test))
    assert result.metrics["test_loss"] == pytest.approx(float(functional.cross_entropy(logits, labels)), rel=1e-4)


def is_scale(key: str) -> bool:
    return key.startswith("norm_") and key.endswith(".weight")


@pytest.mark.slow
def test_it_resumes_to_the_bit_in_bfloat16(train):
    tiny = (*TINY[:-3], "trainer.limit_train_batches=6", "trainer.max_epochs=6", "trainer.max_steps=33")
    _, whole = train(*tiny, name="whole")
    for epoch in (1, 4):
        with pytest.raises(Interrupted):
            train(*tiny, name=f"cut{epoch}", callbacks=(PressCtrlC(epoch),))
        _, cut = train(*tiny, name=f"cut{epoch}")
        assert_same_run(cut, whole)


def test_the_loop_translates_and_flips_in_turn(loop):
    images = torch.arange(2 * 3 * 8 * 8, dtype=torch.float32).view(2, 3, 8, 8)
    loop.BATCH = 2
    batches = loop.augmented(images, torch.tensor([0, 1]), torch.Generator().manual_seed(0))
    seen = [{int(y): x for xs, ys in batches(epoch) for x, y in zip(xs, ys, strict=True)} for epoch in (0, 1)]
    for label, image in enumerate(images):
        padded = functional.pad(image[None], (2, 2, 2, 2), mode="reflect")[0]
        crops = [padded[:, r : r + 8, c : c + 8] for r in range(5) for c in range(5)]
        turned = [any(torch.equal(of[label], crop.flip(2)) for crop in crops) for of in seen]
        plain = [any(torch.equal(of[label], crop) for crop in crops) for of in seen]
        assert sorted(turned) == sorted(plain) == [False, True] and turned != plain
