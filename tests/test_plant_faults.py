"""The script that plants faults finds where to plant them and tests to run."""

from plant_faults import FAULTS, PROJECT


def test_every_text_to_replace_is_in_its_file_once_and_all_tests_are_there():
    counts = {name: (PROJECT / "src" / "trainlab" / f.path).read_text().count(f.text) for name, f in FAULTS.items()}
    assert {name: count for name, count in counts.items() if count != 1} == {}
    assert [path for f in FAULTS.values() for path in f.tests.split() if not (PROJECT / "tests" / path).exists()] == []
