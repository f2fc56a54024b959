"""The plan of a sweep in words."""

from dataclasses import replace
from pathlib import Path

import yaml

from trainlab.sweep.plan import KEEP, RUN, Job, plan
from trainlab.sweep.preview import describe_plan


def sweep_of(*job_overrides, ineligible_reason=None):
    """Jobs with overrides; what these set are their settings."""
    return [
        Job(
            *(number, tuple(overrides.split()), Path("nowhere") / str(number), "f", RUN),
            settings=dict(map(setting, overrides.split())),
            ineligible_reason=(ineligible_reason or {}).get(number, ""),
        )
        for number, overrides in enumerate(job_overrides)
    ]


def setting(override):
    key, _, value = override.partition("=")
    return key, yaml.safe_load(value)


def test_populations_are_called_by_what_their_members_share():
    runs = [f"name=a model={m} optim.lr=0.{lr} seed={s}" for m in ("bn", "selu") for lr in (1, 2) for s in (1, 2, 3)]
    jobs = sweep_of(*runs, "name=a model=cnn seed=1", ineligible_reason={12: "no faster"})
    assert describe_plan(plan(jobs, None), jobs).splitlines() == [
        "plan: 13 jobs in 2 populations, 1 solo",
        "  6 together: model=bn; they differ in optim.lr, seed",
        "  6 together: model=selu; they differ in optim.lr, seed",
        "  solo: cnn seed=1 (no faster)",
    ]


def test_what_all_jobs_of_the_sweep_share_tells_nothing():
    jobs = sweep_of(*(f"name=a model=bn seed={s}" for s in range(7)))
    assert describe_plan(plan(jobs, None), jobs).splitlines() == [
        "plan: 7 jobs in 1 population",
        "  7 together; they differ in seed",
    ]


def test_populations_of_the_same_words_have_one_line():
    jobs = sweep_of(*(f"seed={s}" for s in range(16)))
    assert describe_plan(plan(jobs, most=3), jobs).splitlines() == [
        "plan: 16 jobs in 6 populations",
        "  4 x 3 + 2 x 2 together; they differ in seed",
    ]


def test_what_has_ended_is_not_in_the_plan_but_sets_the_others_apart():
    jobs = sweep_of("model=bn seed=1", "model=selu seed=1", "model=selu seed=2")
    jobs[0] = replace(jobs[0], todo=KEEP, settings={})
    assert describe_plan(plan(jobs, None), jobs).splitlines() == [
        "plan: 2 jobs in 1 population",
        "  2 together: model=selu; they differ in seed",
    ]


def test_a_plan_of_jobs_that_are_all_alone():
    jobs = sweep_of(*(f"seed={i}" for i in range(12)), ineligible_reason=dict.fromkeys(range(12), "no faster"))
    assert describe_plan(plan(jobs, None), jobs).splitlines() == [
        "plan: 12 solo jobs",
        "  12 solo: no faster: seed=0, seed=1, seed=2 and 9 more",
    ]


def test_every_plan_is_described_in_a_dozen_lines():
    runs = [f"model.width={w} seed={s}" for w in range(40) for s in range(2)]
    jobs = sweep_of(
        *runs, *(f"model.depth={d}" for d in range(40)), ineligible_reason={80 + d: f"reason {d}" for d in range(40)}
    )
    lines = describe_plan(plan(jobs, None), jobs).splitlines()
    assert len(lines) <= 12
    assert lines[0] == "plan: 120 jobs in 40 populations, 40 solo"
    whole = describe_plan(plan(jobs, None), jobs, whole=True).splitlines()
    assert whole[0] == lines[0]
    assert [line for line in whole if "solo: " in line] == [f"  solo: depth={d} (reason {d})" for d in range(40)]
    assert len(whole) == 81, "one line for each population, too"
    assert lines[1] == "  2 together: model.width=0; they differ in seed"
    assert "  and 34 more populations" in lines
    assert "  solo: depth=0 (reason 0)" in lines
    assert lines[-1] == "  and 37 more solo, for other reasons"


def test_the_number_of_concurrent_jobs_is_reported():
    jobs = sweep_of(*(f"seed={s}" for s in range(4)))
    assert describe_plan(plan(jobs, None, slots=2), jobs, 2).startswith("plan: 4 jobs in 2 populations, 2 at once\n")
    assert describe_plan(plan(jobs, None), jobs, 1).startswith("plan: 4 jobs in 1 population\n")
