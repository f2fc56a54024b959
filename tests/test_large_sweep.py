"""What reports and sweeps of a hundred runs ask of the file system: at most so many calls for each run or second."""

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
        patch.setenv("PYTHONPATH", os.pathsep.join(str(PROJECT / part) for part in ("src", "tests", "benchmarks")))
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


def test_a_second_of_a_sweep_lists_what_the_page_on_large_sweeps_says(measured):
    """The last test: runs that were completed are running from then on."""
    table, lines = measured("polling")
    jobs, members, drawn, lease = ITEMS / 0.5, RUNS / 1.0, RUNS / 0.5, 1
    assert lines.calls["listings"] <= 1.1 * (jobs + members + lease)
    assert table.calls["listings"] <= 1.1 * (jobs + members + drawn + lease)
