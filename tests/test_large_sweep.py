"""What reports and sweeps of a hundred runs ask of the file system: so many calls for each run, and no more."""

import os

import pytest

from trainlab.config.resolvers import PROJECT

pytestmark = pytest.mark.slow
RUNS, ITEMS, SECONDS = 120, 12, 3.0


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Measures a part of `benchmarks/large_sweep.py`."""
    folder = tmp_path_factory.mktemp("large")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PROJECT / "benchmarks"))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(PROJECT / "src"), str(PROJECT / "benchmarks")]))
        from large_study import Study, leave_runs
        from large_sweep import PARTS, Asked

        asked = Asked(Study(RUNS, seeds=3), folder, ITEMS, SECONDS)
        leave_runs(asked.study, folder)
        yield lambda part: PARTS[part](asked)


def each(one, kind):
    """Calls for each run."""
    return one.calls.get(kind, 0) / RUNS


def test_a_report_reads_each_file_of_a_run_once_or_twice(measured):
    (one,) = measured("report")
    assert each(one, "opens_to_read") <= 7
    assert each(one, "listings") <= 4
    assert each(one, "opens_to_write") < 0.5


def test_results_are_read_once(measured):
    (one,) = measured("results")
    assert one.what == str({"completed": RUNS})
    assert (each(one, "opens_to_read"), each(one, "listings")) == (1, pytest.approx(1, abs=0.02))
