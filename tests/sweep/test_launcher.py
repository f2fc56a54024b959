"""The launcher keeps what Hydra asks of launchers."""

import sys
from pathlib import Path

import pytest
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import (
    BatchedSweeperTestSuite,
    IntegrationTestSuite,
    LauncherTestSuite,
)
from hydra.version import VersionBase
from packaging.version import Version

from hydra_plugins.trainlab.launcher import ProcessLauncher
from trainlab.cli import SweepFailed, explain
from trainlab.config.resolvers import PROJECT


@pytest.fixture(autouse=True)
def _version_that_the_suite_is_written_for(monkeypatch: pytest.MonkeyPatch):
    """Hydra keeps the version base of whoever composed a config before, in one for all."""
    base = VersionBase()
    base.setbase(Version("1.1"))
    monkeypatch.setitem(Singleton._instances, VersionBase, base)


def test_hydra_finds_it():
    assert "ProcessLauncher" in [plugin.__name__ for plugin in Plugins.instance().discover(Launcher)]


def test_hydra_finds_it_without_importing_torch():
    import subprocess

    code = "import hydra.core.plugins as p, sys; p.Plugins.instance(); print('torch' in sys.modules, *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(PROJECT / "src")}, capture_output=True, text=True
    )
    assert "hydra_plugins.trainlab.launcher" in done.stdout
    assert done.stdout.startswith("False")


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [[], ["hydra.launcher.jobs=2"]])
@pytest.mark.parametrize("launcher_name", ["processes"])
class TestAnyApplication(LauncherTestSuite):
    """Hydra's suite for launchers, whole, with jobs that are not this project's trainings.

    Trainings get more than it asks for, and one thing that it asks for is left out there: the JobReturn of a training
    has no ``cfg`` and ``hydra_cfg``. They stay in the process of the job; a sweeper works with its overrides, status
    and return value, and its folder has the rest.
    """


@pytest.mark.parametrize("launcher_name, overrides", [("processes", ["hydra.sweeper.max_batch_size=2"])])
class TestBatches(BatchedSweeperTestSuite):
    """A sweeper that launches again and again."""


@pytest.mark.slow
@pytest.mark.parametrize("task_launcher_cfg, extra_flags", [({}, ["-m", "hydra/launcher=processes"])])
class TestScripts(IntegrationTestSuite):
    """Hydra's scripts, each in a process of its own."""

    @pytest.fixture(autouse=True)
    def _find_the_plugin(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("PYTHONPATH", str(PROJECT / "src"))


def returns_of(hydra_sweep_runner, task, folder, *overrides):
    runner = hydra_sweep_runner(
        calling_file=None,
        calling_module="hydra.test_utils.a_module",
        task_function=task,
        config_path="configs",
        config_name="compose",
        overrides=["hydra/launcher=processes", *overrides],
        temp_dir=folder,
    )
    with runner:
        return runner.returns[0]


def test_a_job_has_a_process_of_its_own_and_returns_what_it_can(hydra_restore_singletons, hydra_sweep_runner, tmp_path):
    import os

    first, second = returns_of(hydra_sweep_runner, lambda _: os.getpid(), tmp_path, "+a=0,1")
    assert first.status is second.status is JobStatus.COMPLETED
    assert len({first.return_value, second.return_value, os.getpid()}) == 3


def test_a_return_value_that_cannot_be_pickled_is_sent_as_text(hydra_restore_singletons, hydra_sweep_runner, tmp_path):
    (returned,) = returns_of(hydra_sweep_runner, lambda _: lambda: 1, tmp_path)
    assert returned.return_value.startswith("<function ")


def test_a_job_that_dies_is_a_failure_of_its_own(hydra_restore_singletons, hydra_sweep_runner, tmp_path):
    def die(cfg):
        import os
        import signal

        if cfg.a == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        Path(tmp_path, "survivor").touch()

    with pytest.raises(RuntimeError, match="killed by signal 9"):
        returns_of(hydra_sweep_runner, die, tmp_path, "+a=0,1")
    assert (tmp_path / "survivor").exists()


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"jobs": 0}, "jobs must be auto or an integer of at least 1, got 0; set sweep.jobs"),
        ({"jobs": True}, "jobs must be auto or an integer of at least 1, got True; set sweep.jobs"),
        ({"on_failure": "panic"}, "on_failure must be continue or stop, got 'panic'; set sweep.on_failure"),
        ({"population": 0}, "population must be auto, off or an integer of at least 2, got 0; set sweep.population"),
        (
            {"population": "3"},
            "population must be auto, off or an integer of at least 2, got '3'; set sweep.population",
        ),
        (
            {"population": 2.0},
            "population must be auto, off or an integer of at least 2, got 2.0; set sweep.population",
        ),
        ({"retry_failed": 1}, "retry_failed must be true or false, got 1; set sweep.retry_failed"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError) as caught:
        ProcessLauncher(**settings)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "population, most",
    [("auto", None), (True, None), ("off", 1), (False, 1), (1, 1), (2, 2), (30, 30)],
)
def test_how_many_trainings_go_together(population, most):
    assert ProcessLauncher(population=population).most_together == most


@pytest.mark.parametrize("override, most", [("", None), ("off", 1), ("false", 1), ("auto", None), ("8", 8)])
def test_the_setting_of_a_sweep_reaches_the_launcher(override, most):
    from hydra import compose, initialize_config_dir
    from hydra.utils import instantiate

    from trainlab.config.resolvers import register_resolvers

    register_resolvers()
    overrides = [f"sweep.population={override}"] if override else []
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides=overrides, return_hydra_config=True)
    assert instantiate({**cfg.hydra.launcher, "population": cfg.sweep.population}).most_together == most
    assert cfg.hydra.launcher._get_node("population")._value() == "${sweep.population}"


def test_the_message_of_a_failed_sweep():
    assert explain(SweepFailed("three\nlines\nlong", 2)) == (2, "error: three\nlines\nlong")
