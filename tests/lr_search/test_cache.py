"""Searches are made once, by whoever comes first."""

import json
import math
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from trainlab.lr_search.base import SearchFailed, SearchResult
from trainlab.lr_search.cache import cached

FOUND = SearchResult("grid", 3e-4, "lowest", {"lowest": 3e-4}, {"lr": [3e-4], "losses": [[1.5, None]]})


class Search:
    """Counts how often it is made."""

    def __init__(self, outcome: SearchResult | Exception = FOUND, seconds: float = 0.0) -> None:
        self.count, self.outcome, self.seconds = 0, outcome, seconds

    def __call__(self) -> SearchResult:
        self.count += 1
        time.sleep(self.seconds)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def test_the_second_time_it_is_read(tmp_path: Path):
    search = Search()
    first, second, other = (cached(tmp_path / "new", key, search) for key in ("a", "a", "b"))
    assert search.count == 2
    assert first == second
    assert {key: value for key, value in other.items() if key != "search_s"} == {
        **{"method": "grid", "lr": 3e-4, "rule": "lowest", "suggestions": {"lowest": 3e-4}},
        "curve": {"lr": [3e-4], "losses": [[1.5, None]]},
    }


def test_those_who_come_while_it_is_made_wait_for_it(tmp_path: Path):
    search, found = Search(seconds=0.3), []
    threads = [threading.Thread(target=lambda: found.append(cached(tmp_path, "a", search))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert search.count == 1
    assert len(found) == 3 and found[0] == found[1] == found[2]


def test_that_nothing_was_found_is_kept_too(tmp_path: Path):
    search = Search(SearchFailed("no learning rate"))
    for _ in range(2):
        with pytest.raises(SearchFailed, match="no learning rate"):
            cached(tmp_path, "a", search)
    assert search.count == 1


@pytest.mark.parametrize("outcome", [KeyboardInterrupt(), RuntimeError("a bug")])
def test_an_interrupted_search_leaves_nothing(outcome: BaseException, tmp_path: Path):
    def ends() -> SearchResult:
        raise outcome

    with pytest.raises(type(outcome)):
        cached(tmp_path, "a", ends)
    search = Search()
    cached(tmp_path, "a", search)
    assert search.count == 1


def kept(**changes: Any) -> str:
    return json.dumps(asdict(FOUND) | changes)


@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", "{}", "\xff", '"nothing_found"', '{"lr": 1e-3}', kept()[:-20]),
        *(kept(lr=-1), kept(lr="high"), kept(lr=math.nan), kept(suggestions={}), kept(curve={}), kept(method="guess")),
    ],
)
def test_a_damaged_file_is_named(content: str, tmp_path: Path):
    (tmp_path / "a.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.json is damaged; remove it"):
        cached(tmp_path, "a", Search())


def test_what_is_kept_is_json(tmp_path: Path):
    cached(tmp_path, "a", Search())
    assert json.loads((tmp_path / "a.json").read_text())["lr"] == 3e-4
