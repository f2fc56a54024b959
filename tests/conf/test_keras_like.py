"""The settings of Keras against Keras's formulas (keras/src, version 3), which docs/keras.md lists."""

import math
import re
from collections.abc import Iterator

import pytest
import torch
from scipy import stats
from torch import nn

from documented import PROJECT
from trainlab.config.build import build
from trainlab.models import CNN, MLP
from trainlab.models.initializers import INITIALIZERS, TRUNCATED_AT, TRUNCATED_DEVIATION, initialize, variance
from trainlab.randomness import generator
from trainlab.training.optimizers import rule_for
from trainlab.training.schedules import one_cycle

SHAPE = (1, 8, 8)
IMAGES = torch.randn(32, *SHAPE, generator=generator(0, "images"), dtype=torch.float64)
NETWORKS = {
    "dense": lambda **more: MLP(SHAPE, depth=1, width=5, batch_norm=True, **more),
    "convolutional": lambda **more: CNN(SHAPE, stages=[[3]], dense=[5], dropout=[0, 0], batch_norm=True, **more),
}


@pytest.mark.parametrize("model", ["bn", "cnn_bn"])
def test_the_option_has_keras_values_and_leaves_the_rest_of_any_network(model, compose_config):
    sizes = ("model.stages=[[2],[2]]",) if model.startswith("cnn") else ()
    cfg = compose_config("experiment=keras_like", f"model={model}", *sizes)
    plain = compose_config(f"model={model}", *sizes)
    changed = {key: value for key, value in cfg.settings["model"].items() if value != plain.settings["model"][key]}
    assert changed == {"initializer_truncated": True, "batch_norm_momentum": 0.01, "batch_norm_eps": 1e-3}
    parts = build(cfg)
    norms = [m for m in parts.network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} <= {(1e-3, 0.01)}
    (group,) = parts.learner.optimizer(parts.network.parameters()).param_groups
    chosen = {key: group[key] for key in ("lr", "betas", "eps", "momentum_decay", "weight_decay")}
    assert chosen == {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-7, "momentum_decay": 1.0, "weight_decay": 0.0}
    assert type(parts.learner.optimizer(parts.network.parameters())) is torch.optim.NAdam


def test_truncated_draws_are_those_of_variance_scaling():
    # The variance of a standard normal variable within c deviations is 1 - 2 c pdf(c) / (2 cdf(c) - 1).
    c = TRUNCATED_AT
    assert c == 2 and TRUNCATED_DEVIATION == 0.87962566103423978
    assert math.sqrt(1 - 2 * c * stats.norm.pdf(c) / (2 * stats.norm.cdf(c) - 1)) == pytest.approx(TRUNCATED_DEVIATION)
    for name in [name for name in INITIALIZERS if name.endswith("_normal")]:
        layer = nn.Linear(400, 300)
        initialize(layer, name, 0, "here", truncated=True)
        deviation = math.sqrt(variance(name, 400, 300)) / TRUNCATED_DEVIATION  # before truncation
        weights = layer.weight.detach().double().flatten() / deviation
        assert 1.999 < weights.abs().max() <= 2 + 1e-6  # float32
        # Kolmogorov and Smirnov's distance of n draws is above 1.95 / sqrt(n) in one of a thousand cases.
        assert stats.kstest(weights, stats.truncnorm(-c, c).cdf).statistic < 1.95 / math.sqrt(len(weights))
        scaled = nn.Linear(400, 300)
        initialize(scaled, name, 0, "here", scale=0.25, truncated=True)
        assert torch.equal(scaled.weight, layer.weight / 4)


@pytest.mark.parametrize("name", [name for name in INITIALIZERS if not name.endswith("_normal")])
def test_other_distributions_are_not_truncated(name):
    plain, truncated = nn.Linear(30, 20), nn.Linear(30, 20)
    initialize(plain, name, 0, "here")
    initialize(truncated, name, 0, "here", truncated=True)
    assert torch.equal(plain.weight, truncated.weight)


@pytest.mark.parametrize("build_network", NETWORKS.values(), ids=NETWORKS)
def test_all_layers_of_a_network_are_truncated(build_network):
    network = build_network(initializer_truncated=True, output_initializer="glorot_normal")
    plain = build_network(output_initializer="glorot_normal")
    others = dict(plain.named_modules())
    layers = {name: m for name, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)}
    assert len(layers) == (2 if isinstance(network, MLP) else 3)
    for name, layer in layers.items():
        fans = (size * math.prod(layer.weight.shape[2:]) for size in (layer.weight.shape[1], layer.weight.shape[0]))
        rule = "glorot_normal" if name == "output" else "he_normal"
        limit = 2 * math.sqrt(variance(rule, *fans)) / TRUNCATED_DEVIATION
        assert layer.weight.abs().max() <= limit * (1 + 1e-6)
        assert not torch.equal(layer.weight, others[name].weight)


@pytest.mark.parametrize("build_network", NETWORKS.values(), ids=NETWORKS)
def test_batch_normalization_after_the_activation(build_network):
    """Its layer has a bias then, and its output the mean 0 and the variance of Keras's formula."""
    network = build_network(batch_norm_order="after", batch_norm_eps=1e-3, batch_norm_momentum=0.01).double()
    names = [name for name, _ in network.named_children()]
    first = "linear_1" if isinstance(network, MLP) else "conv_1_1"
    norm = f"norm_{first}" if isinstance(network, CNN) else "norm_1"
    assert names[names.index(norm) - 2 :][:2] == [first, names[names.index(norm) - 1]]
    assert names[names.index(norm) - 1].startswith("activation_")
    assert network.get_submodule(first).bias is not None
    seen = {}
    for name in (first, norm):
        hook = lambda _, inputs, output, name=name: seen.update({name: (inputs[0], output)})  # noqa: E731
        network.get_submodule(name).register_forward_hook(hook)
    network(IMAGES)
    (_, before), (active, after) = seen[first], seen[norm]
    activation = network.get_submodule(names[names.index(norm) - 1])
    assert torch.equal(active, activation(before))
    axes = [0, *range(2, active.ndim)]
    mean, square = active.mean(axes, keepdim=True), active.var(axes, correction=0, keepdim=True)
    torch.testing.assert_close(after, (active - mean) / (square + 1e-3).sqrt())
    # moving_mean * momentum + mean(batch) * (1 - momentum), with Keras's momentum of 0.99
    running = network.get_submodule(norm).running_mean
    torch.testing.assert_close(running, 0.0 * 0.99 + mean.flatten() * (1 - 0.99))


@pytest.mark.parametrize("kind", [MLP, CNN])
@pytest.mark.parametrize(("key", "value"), [("batch_norm_order", "first"), ("batch_norm_eps", 0.0)])
def test_invalid_settings_of_batch_normalization_name_their_key(kind, key, value):
    with pytest.raises(ValueError, match=rf"^{key} must be .* got {value!r}; set model\.{key}$"):
        kind(**{key: value})


def keras_nadam(gradients, variable, lr, beta_1, beta_2, epsilon):
    """Variables after each step, as `Nadam.update_step` of keras/src/optimizers/nadam.py computes them."""
    m, v, u_product = torch.zeros_like(variable), torch.zeros_like(variable), 1.0
    for iterations, gradient in enumerate(gradients):
        u_t = beta_1 * (1.0 - 0.5 * 0.96 ** (iterations + 1))
        u_t_1 = beta_1 * (1.0 - 0.5 * 0.96 ** (iterations + 2))
        u_product *= u_t
        m = m + (gradient - m) * (1 - beta_1)
        v = v + (gradient.square() - v) * (1 - beta_2)
        m_hat = u_t_1 * m / (1 - u_product * u_t_1) + (1 - u_t) * gradient / (1 - u_product)
        v_hat = v / (1 - beta_2 ** (iterations + 1))
        variable = variable - m_hat * lr / (v_hat.sqrt() + epsilon)
        yield variable


@pytest.fixture
def float64() -> Iterator[None]:
    """Also the product of momentums that NAdam keeps."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_steps_of_nadam_are_keras_steps(compose_config, float64):
    """Of torch's optimizer, and of the step that is compiled and that populations make."""
    optim = compose_config("optim=nadam_keras").settings["optim"]
    settings = {key: optim[key] for key in ("lr", "betas", "eps", "momentum_decay", "weight_decay")}
    start = torch.randn(20, generator=generator(0, "start"), dtype=torch.float64)
    gradients = torch.randn(50, 20, generator=generator(0, "gradients"), dtype=torch.float64) * 1e-6  # eps counts
    theirs, ours = (nn.Parameter(start.clone()) for _ in range(2))
    optimizer, split = (torch.optim.NAdam([parameter], **settings) for parameter in (theirs, ours))
    expected = list(keras_nadam(gradients, start, optim["lr"], *optim["betas"], optim["eps"]))
    for step, gradient in enumerate(gradients):
        theirs.grad = gradient.clone()
        optimizer.step()
        if step == 0:
            ours.grad = gradient.clone()
            split.step()
        else:
            (group,), state, rule = split.param_groups, split.state[ours], rule_for(split)
            scalars = torch.tensor(rule.scalars(group, state), dtype=torch.float64)
            with torch.no_grad():
                rule.update(ours, gradient, {name: state[name] for name in rule.tensors(group)}, scalars)
        # A few roundings of 1e-16 per step, of values near 1.
        torch.testing.assert_close(theirs.detach(), expected[step], rtol=0, atol=1e-14)
        torch.testing.assert_close(ours.detach(), expected[step], rtol=0, atol=1e-14)
    by_default = list(keras_nadam(gradients, start, 1e-3, 0.9, 0.999, 1e-8))
    assert (by_default[0] - expected[0]).abs().max() > 1e-5, "the epsilon shows in these steps"


def test_the_linear_cycle_is_that_of_the_notebooks(compose_config):
    """Rates of `OneCycleScheduler` of ageron/handson-ml3, notebook 11, of 1000 steps."""
    schedule = compose_config("optim=sgd", "optim.lr=0.05", "scheduler=one_cycle_linear").settings["scheduler"]
    settings = {key: value for key, value in schedule.items() if not key.startswith("_")}
    iterations, max_rate = 1000, 0.05
    start_rate, last_iterations = max_rate / 10, iterations // 10 + 1
    half, last_rate = (iterations - last_iterations) // 2, start_rate / 1000

    def expected(iteration):
        ends = [(0, half, start_rate, max_rate), (half, 2 * half, max_rate, start_rate)]
        ends.append((2 * half, iterations, start_rate, last_rate))
        first, last, rate_1, rate_2 = next(of for of in ends if iteration < of[1])
        return (rate_2 - rate_1) * (iteration - first) / (last - first) + rate_1

    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=max_rate, momentum=0.9)
    scheduler = one_cycle(optimizer, iterations, **settings)["scheduler"]
    for iteration in range(iterations):
        (group,) = optimizer.param_groups
        assert group["momentum"] == 0.9
        # The notebook's last rate would be that of step 1001.
        tolerance = 1e-12 if iteration <= 2 * half else start_rate / last_iterations
        assert abs(group["lr"] - expected(iteration)) <= tolerance, iteration
        optimizer.step()
        scheduler.step()


@pytest.mark.slow
def test_every_setting_of_the_page_exists(compose_config):
    """Those in the third column of its tables."""
    page = (PROJECT / "docs" / "keras.md").read_text()
    cells = [row.split(" | ")[2] for row in page.splitlines() if row.startswith("| ") and row.count(" | ") == 2]
    words = [word for cell in cells for word in re.findall(r"`([\w.]+=[^`]+)`", cell)]
    assert len(words) > 20
    for word in words:
        compose_config(*word.split())
