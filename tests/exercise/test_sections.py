import pytest

from exercise.registry import BY_DEFAULT, SECTIONS, choose_sections
from exercise.section import sweeps_of
from exercise.trainings import (
    QUICK,
    Setting,
    Sweep,
    count_seeds,
    max_seeds,
    overrides_of,
    runs_of,
    sweep_command,
)

SWEEP = Sweep("rates", ("model=bn", "optim.lr=1e-4,1e-3", "seed=1,2,3"), quick=("optim.lr=1e-3",))


def test_later_overrides_take_the_place_of_earlier_ones():
    assert overrides_of(SWEEP, Setting()) == ["model=bn", "optim.lr=1e-4,1e-3", "seed=1,2,3"]
    ours = overrides_of(SWEEP, Setting(overrides=("seed=7", "data.root=/images", "+trainer.x=1")))
    assert ours == ["model=bn", "optim.lr=1e-4,1e-3", "seed=7", "data.root=/images", "+trainer.x=1"]


def test_the_quick_version_is_small_everywhere():
    found = overrides_of(SWEEP, Setting(quick=True))
    assert set(QUICK) <= set(found) and "optim.lr=1e-3" in found and "seed=1,2,3" not in found
    assert count_seeds(SWEEP, Setting()) == 3
    assert count_seeds(SWEEP, Setting(quick=True)) == 2
    assert count_seeds(Sweep("one", ("model=bn",)), Setting()) == 1


def test_with_seeds_given_there_is_nothing_to_decide():
    auto = ("seed=auto", "sweep.margin=1.0", "sweep.max_seeds=30", "sweep.baseline=bn")
    sweep = Sweep("auto", ("model=bn,selu", *auto))
    assert overrides_of(sweep, Setting()) == ["model=bn,selu", *auto]
    assert max_seeds(sweep, Setting()) == 30
    assert overrides_of(sweep, Setting(overrides=("seed=1,2,3",))) == ["model=bn,selu", "seed=1,2,3"]
    assert count_seeds(sweep, Setting(quick=True)) == 2 and max_seeds(sweep, Setting(quick=True)) is None
    with pytest.raises(ValueError, match="seed=auto is set where the exercise needs it"):
        Setting(overrides=("seed=auto",))


@pytest.mark.parametrize(
    ("seed", "count"), [("1,2", 2), ("range(1,13)", 12), ("7", 1), ("choice(4,5,6)", 3), ("range(0,10,5)", 2)]
)
def test_seeds_are_counted_as_hydra_reads_them(seed: str, count: int):
    setting = Setting(overrides=(f"seed={seed}",))
    assert count_seeds(SWEEP, setting) == count
    assert len(runs_of(SWEEP, setting)) == 2 * count  # two rates


def test_a_list_is_one_value_and_so_is_what_stands_in_quotes():
    sweep = Sweep("lists", ("model.widths=[1,2],[3,4]", "model.activation='a,b'", "data.root=/a=b/c,d"))
    assert len(runs_of(sweep, Setting())) == 2
    assert len(runs_of(Sweep("one", ()), Setting())) == 1


def test_settings_of_the_exercise_itself_cannot_be_set():
    with pytest.raises(ValueError, match=r"name= is the exercise's own; .* --name NAME"):
        Setting(overrides=("name=mine",))
    with pytest.raises(ValueError, match="--quick is of a small embedded data set"):
        Setting(quick=True, overrides=("data=image_folder", "data.root=/images"))
    assert Setting(overrides=("data=image_folder",)).overrides == ("data=image_folder",)


def test_the_command_names_the_folder_so_that_it_resumes():
    words = sweep_command(SWEEP, Setting(), "exercise")
    assert words[0] == "-m" and words[-1] == "name=exercise/rates"


def test_parts_are_chosen_in_the_order_of_the_page():
    assert {section.part for section in choose_sections([])} <= set(BY_DEFAULT)
    assert {section.part for section in choose_sections(["8"])} == {"8"}
    with pytest.raises(ValueError, match=r"there is no part '9'; there are: .*8"):
        choose_sections(["9"])
    with pytest.raises(ValueError, match="there is no part '8c'; it belongs to part 8"):
        choose_sections(["8c"])


def test_keys_sweeps_and_measurements_are_unlike_each_other():
    assert len({section.key for section in SECTIONS}) == len(SECTIONS)
    by_name: dict[str, Sweep] = {}
    for section in SECTIONS:
        for sweep in section.sweeps:
            assert by_name.setdefault(sweep.name, sweep) is sweep, sweep.name
    measured = {measurement for section in SECTIONS for measurement in section.measurements}  # some of several sections
    assert len({measurement.name for measurement in measured}) == len(measured)
    assert [sweep.name for sweep in sweeps_of(SECTIONS)] == list(by_name)
