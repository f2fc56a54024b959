"""What is said of other solutions' networks, from results that are made up."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from exercise.questions import convolutions, variants
from exercise.questions.mc_dropout import answer_of
from exercise.section import Answer
from exercise.store import Evidence, Measured, NotAvailable
from exercise.trainings import Setting
from exercise_results import MC, leave_part
from trainlab.report.runs import Run
from trainlab.runs.result import Result

Leave = Callable[..., Path]


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(tmp_path, Setting())


def leave_runs(
    leave: Leave, sweep: str, experiment: str, accuracies: Sequence[float], status: str = "completed", test: float = 0.0
) -> None:
    option = experiment if sweep == "cnn" else f"exercise/{experiment}"
    for seed, accuracy in enumerate(accuracies, 1):
        folder = leave(
            f"{sweep}/{experiment},{seed}",
            [2.0, 1.9 - accuracy],
            [accuracy / 2, accuracy],
            seed=seed,
            epoch_s=3 + 0.001 * seed,
            status=status,
            overrides=(f"experiment={option}", f"seed={seed}"),
            name_of_network=experiment,
        )
        if test and (result := Result.read(folder)):
            result.metrics["test_acc"] = test + 0.001 * seed
            result.write(folder)


def answer(key: str, evidence: Evidence) -> Answer:
    (section,) = (s for s in (*variants.SECTIONS, *convolutions.SECTIONS) if s.key == key)
    return section.answer(evidence)


@pytest.mark.parametrize(
    ("experiment", "accuracies", "agrees"),
    [
        ("variant_swish", (0.53, 0.533, 0.532), True),
        ("variant_swish", (0.48, 0.483, 0.482), False),
        ("variant_swish", (0.48, 0.523, 0.502), None),
        ("variant_elu_alpha_dropout", (0.48, 0.483, 0.482), True),
        ("variant_elu_alpha_dropout", (0.53, 0.533, 0.532), False),
        ("variant_bn_input", (0.53, 0.533, 0.532), None),  # nothing is expected of it
    ],
)
def test_a_variant_compared_with_its_part(
    leave: Leave, evidence: Evidence, experiment: str, accuracies: Sequence[float], agrees: bool | None
):
    leave_part(leave, variants.VARIANTS[experiment].part, [0.500, 0.502, 0.501])
    leave_runs(leave, "variants", experiment, accuracies)
    with pytest.raises(NotAvailable, match="variants_steps"):
        answer(experiment, evidence)
    part = variants.VARIANTS[experiment].part
    evidence.keep(variants.STEPS, {part: [2.0, 2.1, 2.0], experiment: [3.0, 3.1, 3.0]})
    found = answer(experiment, evidence)
    assert found.agrees is agrees
    assert found.sentences[3].startswith(f"A training step of {variants.VARIANTS[experiment].name} takes 1.49 times")
    assert found.sentences[0].startswith(f"{variants.VARIANTS[experiment].name}: validation accuracy ")
    assert len(found.sentences) == 4
    ((_, table),) = found.tables
    assert len(table.rows) == 2


def test_a_variant_that_diverged(leave: Leave, evidence: Evidence):
    leave_part(leave, "8b, plain", [0.500, 0.502, 0.501])
    leave_runs(leave, "variants", "variant_elu_alpha_dropout", (0.1, 0.1, 0.1), "diverged")
    found = answer("variant_elu_alpha_dropout", evidence)
    assert found.sentences == ["It costs everything: all 3 runs of ELU, alpha dropout 0.5 diverged."]
    assert found.agrees is True  # which is what is expected of it


def test_a_variant_waits_for_its_part(leave: Leave, evidence: Evidence):
    leave_runs(leave, "variants", "variant_swish", (0.5, 0.5, 0.5))
    with pytest.raises(NotAvailable, match="question_8"):
        answer("variant_swish", evidence)


@pytest.mark.parametrize(
    ("tests", "agrees", "words"),
    [
        ((0.72, 0.72, 0.72, 0.72), True, "CNN 72.2 ± 0.2 % (3 seeds), above the 70.4 % reported"),
        ((0.60, 0.72, 0.72, 0.72), False, "CNN 60.2 ± 0.2 % (3 seeds), below the 70.4 % reported"),
        ((0.702, 0.72, 0.72, 0.72), None, "CNN 70.4 ± 0.2 % (3 seeds), not clearly apart from the 70.4 % reported"),
    ],
)
def test_convolutional_networks_compared_with_reported_results(
    leave: Leave, evidence: Evidence, tests: Sequence[float], agrees: bool | None, words: str
):
    for experiment, test in zip(convolutions.NETWORKS, tests, strict=True):
        leave_runs(leave, "cnn", experiment, (0.700, 0.705, 0.703), test=test)
    found = answer("cnn", evidence)
    assert found.agrees is agrees
    assert words in found.sentences[0]
    assert len(found.sentences) == 1


def test_what_is_clear_of_convolutional_networks_is_in_the_answer(leave: Leave, evidence: Evidence):
    for i, experiment in enumerate(convolutions.NETWORKS):
        by_seed = (0.700, 0.705, 0.703) if i else (0.600, 0.606, 0.601)
        leave_runs(
            leave, "cnn", experiment, tuple(value + 0.001 * (i * j % 3) for j, value in enumerate(by_seed)), test=0.7
        )
    found = answer("cnn", evidence)
    assert [sentence.partition(" by ")[0] for sentence in found.sentences[1:]] == [
        f"By validation accuracy {name} is better than CNN"
        for name in ("CNN, batch norm", "CNN, SELU", "CNN, alpha dropout")
    ]
    assert found.details[0] == "Other pairs, by validation accuracy:"
    assert len(found.details) == 4
    assert all("is better than" not in sentence for sentence in found.details)


def test_convolutional_networks_of_which_some_or_all_diverged(leave: Leave, evidence: Evidence):
    leave_runs(leave, "cnn", "cnn", (0.700, 0.705, 0.703), test=0.72)
    for experiment in list(convolutions.NETWORKS)[1:]:
        leave_runs(leave, "cnn", experiment, (0.1, 0.1, 0.1), "diverged")
    found = answer("cnn", evidence)
    assert found.agrees is None
    assert "CNN, SELU no completed run" in found.sentences[0]


def test_convolutional_networks_that_all_diverged(leave: Leave, evidence: Evidence):
    for experiment in convolutions.NETWORKS:
        leave_runs(leave, "cnn", experiment, (0.1, 0.1, 0.1), "diverged")
    assert answer("cnn", evidence).sentences == ["No run was completed."]


def test_mc_dropout_of_seeds_that_were_measured_apart(leave: Leave, evidence: Evidence):
    leave_runs(leave, "cnn", "cnn_alpha_dropout", (0.7, 0.7, 0.7))
    evidence.keep(convolutions.MC, MC)
    found = answer("cnn_mc", evidence)
    assert found == answer_of("", MC)
    assert found.agrees is None


@pytest.mark.parametrize("seeds", [(1, 2, 3), (1, 2)])
def test_mc_dropout_is_measured_of_the_seeds_that_there_are_and_of_none_twice(
    leave: Leave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: Sequence[int]
):
    evidence = Evidence(tmp_path, Setting(overrides=(f"seed={','.join(map(str, seeds))}",)))
    leave_runs(leave, "cnn", "cnn_alpha_dropout", [0.7 for _ in seeds])
    taken = []

    def left_on(runs: Sequence[Run]) -> Measured:
        (run,) = runs
        taken.append(run.seed)
        if taken == [1, 2]:
            raise KeyboardInterrupt
        seed = str(run.seed)
        return {m: {side: {seed: of[seed]} for side, of in sides.items()} for m, sides in MC.items()}

    monkeypatch.setattr(convolutions, "measure_mc_dropout", left_on)
    with pytest.raises(KeyboardInterrupt):
        convolutions.mc_dropout(evidence)
    found = convolutions.mc_dropout(evidence)
    assert taken == [1, 2, *seeds[1:]]
    wanted = {str(seed) for seed in seeds}
    assert found == {m: {s: {k: v for k, v in of.items() if k in wanted} for s, of in x.items()} for m, x in MC.items()}


def test_mc_dropout_of_nothing(leave: Leave, evidence: Evidence):
    leave_runs(leave, "cnn", "cnn_alpha_dropout", (0.7, 0.7, 0.7), "diverged")
    evidence.keep(convolutions.MC, convolutions.mc_dropout(evidence))
    assert answer("cnn_mc", evidence).sentences == [
        "No run of CNN, alpha dropout was completed, so there is no dropout to leave on."
    ]
