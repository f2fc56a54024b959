"""What a sweep of hundreds of runs asks of the file system: so many calls for each run, or each second, and no more."""

import os

import pytest

from trainlab.config.resolvers import PROJECT

pytestmark = pytest.mark.slow
RUNS, ITEMS, SECONDS = 240, 24, 3.0


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What the parts of `benchmarks/large_sweep.py` measure, by name."""
    folder = tmp_path_factory.mktemp("large")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PROJECT / "benchmarks"))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(PROJECT / "src"), str(PROJECT / "benchmarks")]))
        from large_study import Study, leave_runs
        from large_sweep import PARTS, Asked

        asked = Asked(Study(RUNS, seeds=3), folder, ITEMS, SECONDS)
        leave_runs(asked.study, folder)
        return {name: part(asked) for name, part in PARTS.items()}


def each(one, kind):
    """Calls for each run."""
    return one.calls.get(kind, 0) / RUNS


def test_new_runs_are_planned_in_populations_without_a_look_at_each_file(measured):
    (one,) = measured["plan"]
    assert f"{RUNS} jobs: {RUNS} new; plan: {RUNS} jobs in {ITEMS} populations" in one.what
    assert each(one, "opens_to_read") < 1
    assert each(one, "listings") <= 8
    assert each(one, "opens_to_write") == each(one, "renames") == 0


def test_completed_runs_are_found_by_few_reads(measured):
    (one,) = measured["kept"]
    assert f"{RUNS} jobs: {RUNS} kept" in one.what
    assert each(one, "opens_to_read") <= 4
    assert each(one, "opens_to_write") == each(one, "renames") == 0


def test_a_report_reads_each_file_of_a_run_once_or_twice(measured):
    (one,) = measured["report"]
    assert each(one, "opens_to_read") <= 7
    assert each(one, "listings") <= 4
    assert each(one, "opens_to_write") < 0.5


def test_results_are_read_once(measured):
    (one,) = measured["results"]
    assert one.what == str({"completed": RUNS})
    assert (each(one, "opens_to_read"), each(one, "listings")) == (1, pytest.approx(1, abs=0.02))


def test_a_second_of_a_sweep_has_at_most_some_hundred_calls(measured):
    for one in measured["polling"]:
        members, items = 200, ITEMS / 0.5  # that are looked at, see `run_items` and `RemoteExecutor`
        assert one.calls["listings"] <= 1.2 * (members + items)
        assert one.calls["opens_to_read"] <= 1.2 * (2 * members + items) + 2 * RUNS
        assert one.calls.get("opens_to_write", 0) <= 2


def test_an_epoch_of_a_population_writes_few_files_of_each_member(measured):
    epoch, _, beat = measured["writing"]
    assert epoch.calls["renames"] <= 10 * 4
    assert epoch.calls["opens_to_write"] <= 10 * 8
    assert (beat.calls["other_changes"], beat.calls["listings"], beat.calls["opens_to_read"]) == (1, 1, 1)
