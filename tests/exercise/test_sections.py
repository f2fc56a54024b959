import pytest

from trainlab.exercise.contents import BY_DEFAULT, SECTIONS, chosen
from trainlab.exercise.section import sweeps_of
from trainlab.exercise.trainings import QUICK, Setting, Sweep, command, overrides_of, seeds_of

SWEEP = Sweep("rates", ("model=bn", "optim.lr=1e-4,1e-3", "seed=1,2,3"), quick=("optim.lr=1e-3",))


def test_later_overrides_take_the_place_of_earlier_ones():
    assert overrides_of(SWEEP, Setting()) == ["model=bn", "optim.lr=1e-4,1e-3", "seed=1,2,3"]
    ours = overrides_of(SWEEP, Setting(overrides=("seed=7", "data.root=/images", "+trainer.x=1")))
    assert ours == ["model=bn", "optim.lr=1e-4,1e-3", "seed=7", "data.root=/images", "+trainer.x=1"]


def test_the_quick_version_is_small_everywhere():
    found = overrides_of(SWEEP, Setting(quick=True))
    assert set(QUICK) <= set(found) and "optim.lr=1e-3" in found and "seed=1,2,3" not in found
    assert seeds_of(SWEEP, Setting()) == 3
    assert seeds_of(SWEEP, Setting(quick=True)) == 2
    assert seeds_of(Sweep("one", ("model=bn",)), Setting()) == 1


def test_the_command_names_the_folder_so_that_it_resumes():
    words = command(SWEEP, Setting(), "exercise")
    assert words[0] == "-m" and words[-1] == "name=exercise/rates"


def test_parts_are_chosen_in_the_order_of_the_page():
    assert {section.part for section in chosen([])} <= set(BY_DEFAULT)
    assert {section.part for section in chosen(["8"])} == {"8"}
    with pytest.raises(ValueError, match=r"there is no part '9'; there are: .*8"):
        chosen(["9"])


def test_keys_sweeps_and_measurements_are_unlike_each_other():
    assert len({section.key for section in SECTIONS}) == len(SECTIONS)
    by_name: dict[str, Sweep] = {}
    for section in SECTIONS:
        for sweep in section.sweeps:
            assert by_name.setdefault(sweep.name, sweep) is sweep, sweep.name
    measured = [measurement.name for section in SECTIONS for measurement in section.measurements]
    assert len(set(measured)) == len(measured)
    assert [sweep.name for sweep in sweeps_of(SECTIONS)] == list(by_name)
