import pytest
import torch

from trainlab.inference.metrics import METRICS, compare, describe, mcnemar_test, score_images
from trainlab.randomness import generator

N = 1000
LABELS = torch.arange(N) % 4


def predictions(name: str, sharpness: float) -> torch.Tensor:
    """Probabilities of four classes; the sharper, the more often right."""
    noise = torch.randn(N, 4, generator=generator(0, name), dtype=torch.float64)
    return (noise + sharpness * torch.nn.functional.one_hot(LABELS, 4)).softmax(1)


def test_a_network_compared_with_itself_has_no_difference():
    p = predictions("a", 1.0)
    one, same = score_images(p, LABELS), score_images(p, LABELS, torch.zeros(N))
    compared = compare(one, same, seed=0)
    assert set(compared) == set(METRICS)
    for key, sides in compared.items():
        if key != "mutual_information":
            assert sides["difference"] == {"value": 0, "low": 0, "high": 0}
            assert sides["deterministic"] == sides["mc_dropout"]
    test = mcnemar_test(one, same)
    assert test == {"gained": 0, "lost": 0, "p": 1}
    claims = [sentence for sentence in describe(compared, test) if sentence.startswith("MC dropout changes")]
    assert len(claims) == 6
    assert all(claim.endswith(": no significant difference") for claim in claims)


def test_what_is_better_is_said_to_be_and_the_other_way_round():
    weak = score_images(predictions("a", 0.5), LABELS)
    strong = score_images(predictions("b", 2.0), LABELS, torch.zeros(N))
    for first, second, verdict in ((weak, strong, "it is better"), (strong, weak, "it is worse")):
        compared = compare(first, second, seed=0)
        sentences = {
            METRICS[key].name: s
            for key in METRICS
            for s in describe(compared, mcnemar_test(first, second))
            if METRICS[key].name + " by" in s
        }
        for key in ("accuracy", "nll", "brier", "aurc"):
            assert sentences[METRICS[key].name].endswith(verdict)


def test_an_interval_is_of_both_sides_resampled_alike():
    p = predictions("a", 1.0)
    q = (0.98 * p + 0.02 * predictions("b", 1.5)).clone()
    compared = compare(score_images(p, LABELS), score_images(q, LABELS, torch.zeros(N)), seed=0)
    for key in ("accuracy", "nll", "brier"):
        width = {
            side: compared[key][side]["high"] - compared[key][side]["low"] for side in ("deterministic", "difference")
        }
        assert width["difference"] < width["deterministic"] / 2
    # The deviation of a difference of means is that of the images' differences.
    differences = score_images(q, LABELS).nll - score_images(p, LABELS).nll
    half = 1.96 * differences.std().item() / N**0.5
    of = compared["nll"]["difference"]
    assert of["high"] - of["low"] == pytest.approx(2 * half, rel=0.12)


def test_mcnemar_counts_what_one_side_alone_has_right():
    p = torch.tensor([[0.9, 0.1]]).expand(5, 2)
    q = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9], [0.9, 0.1]])
    labels = torch.tensor([0, 0, 1, 1, 1])
    assert mcnemar_test(score_images(p, labels), score_images(q, labels)) == {"gained": 2, "lost": 1, "p": 1.0}


def of(value: float, low: float, high: float) -> dict:
    return {"name": "x", "difference": {"value": value, "low": low, "high": high}}


def test_words():
    test = {"gained": 52, "lost": 40, "p": 0.2513}
    compared = {
        "accuracy": of(0.0012, -0.0015, 0.0040),
        "nll": of(-0.0321, -0.0402, -0.0240),
        "ece": of(0.0100, 0.0050, 0.0150),
        "entropy": of(0.2, 0.1, 0.3),
    }
    assert describe(compared, test) == [
        "MC dropout changes accuracy by +0.12 points, 95 % interval -0.15 to +0.40: no significant difference",
        "With MC dropout 52 images become correct and 40 wrong: p = 0.25 in McNemar's exact test",
        "MC dropout changes negative log-likelihood by -0.0321, 95 % interval -0.0402 to -0.0240: it is better",
        "MC dropout changes expected calibration error by +1.00 points, 95 % interval +0.50 to +1.50: it is worse",
        "MC dropout changes predictive entropy by +0.2000, 95 % interval +0.1000 to +0.3000: "
        "predictions are less certain",
    ]


def test_accuracy_counts_as_changed_where_both_the_interval_and_the_test_say_so():
    better = {"accuracy": of(0.002, 0.0001, 0.0040)}
    assert describe(better, {"gained": 60, "lost": 40, "p": 0.0569})[0].endswith("no significant difference")
    assert describe(better, {"gained": 61, "lost": 40, "p": 0.0461})[0].endswith("it is better")
