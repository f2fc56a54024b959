"""Screenshots of what a user sees, to be looked at one by one after a change of it: `make setup`, then

    .venv/bin/python docs/screenshots.py FOLDER

FOLDER/shots has the reports of a run, of a sweep and of 1,000 runs on a desktop, on a phone and in the dark, the tabs
of TensorBoard, and terminals of 80 and 160 columns at the start, in the middle and at the end of their commands. Takes
a few minutes. Chromium must be installed.
"""

import json
import math
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import terminal
import yaml
from playwright.sync_api import Browser, Page, sync_playwright

SRC = Path(__file__).resolve().parent.parent / "src"
TINY = "data=shapes data.num_train=1000 data.num_test=200 data.val_size=200 trainer=cpu model.depth=3 model.width=32"
SWEEP = "-m model=elu_he,bn,selu seed=1,2,3 optim.lr=1e-3,1e-4 trainer.max_epochs=5"
WINDOWS = {"desktop": (1280, 900, "light"), "phone": (390, 844, "light"), "dark": (1280, 900, "dark")}
TABS = ("timeseries", "scalars", "custom_scalars", "hparams", "text", "images")


def main() -> None:
    """Train, then take all screenshots."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None or len(sys.argv) != 2:
        sys.exit(f"error: Chromium and a folder are needed; apt-get install chromium\n\n{__doc__}")
    folder = Path(sys.argv[1]).resolve()
    shots = folder / "shots"
    shots.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        for columns in (80, 160):
            outputs = folder / f"outputs{columns}"
            train = [sys.executable, str(SRC / "train.py"), f"output_dir={outputs}", *TINY.split()]
            shoot_terminal(browser, [*train, *SWEEP.split(), "name=sweep"], columns, shots / f"sweep_{columns}")
            shoot_terminal(browser, [*train, "model=bn", "name=run"], columns, shots / f"run_{columns}")
            report = [sys.executable, str(SRC / "report.py")]
            shoot_terminal(browser, [*report, str(outputs / "sweep")], columns, shots / f"report_{columns}")
        leave_copies(outputs / "run", folder / "large", 1000)
        command = [*report, str(folder / "large")]
        shoot_terminal(browser, command, 80, shots / "report_large_80")
        subprocess.run([*report, str(outputs / "run")], check=True, stdout=subprocess.DEVNULL)
        for name, page in (("run", outputs / "run"), ("sweep", outputs / "sweep"), ("large", folder / "large")):
            shoot_page(browser, page / "report.html", shots / f"report_{name}")
        shoot_tensorboard(browser, outputs, shots)


def shoot_terminal(browser: Browser, command: list[str], columns: int, to: Path) -> None:
    """The screen of a command at its start, in the middle and at its end."""
    screens = [*terminal.record(command, columns)]
    page = browser.new_page(viewport={"width": 14 * columns, "height": 900})
    last = screens[-1][0]
    for name, end in (("start", 2.0), ("middle", last / 2), ("end", last)):
        second, screen = [shown for shown in screens if shown[0] <= end][-1]
        to.with_name(f"{to.name}_{name}.png").write_bytes(terminal.draw(page, screen, columns, f"{second:.0f} s"))
    page.close()


def leave_copies(run: Path, to: Path, number: int) -> None:
    """Folders of runs with other settings and results, made from those of a run; every fiftieth diverged."""
    if to.exists():
        return
    result, config = json.loads((run / "result.json").read_text()), yaml.safe_load((run / "config.yaml").read_text())
    columns = (run / "metrics.csv").read_text().splitlines()[0]
    draw, epochs = random.Random(0), 100
    for i in range(number):
        group, seed = divmod(i, 4)
        option, lr, depth = (
            ("bn", "selu", "elu_he", "relu", "gelu")[group % 5],
            1e-4 * 1.8 ** (group // 5 % 10),
            5 + group // 50,
        )
        config |= {"seed": seed, "model": config["model"] | {"seed": seed, "depth": depth, "activation": option}}
        config |= {"optim": config["optim"] | {"lr": lr}, "data": config["data"] | {"seed": seed}}
        floor = 1.3 + 0.05 * (group % 5) + 0.02 * (group // 5 % 10)
        losses = [floor + math.exp(-epoch / 15) + draw.gauss(0, 0.02) for epoch in range(epochs)]
        rows = [
            {"epoch": epoch, "step": 32 * (epoch + 1), "train/loss": loss + 0.1, "train/acc": 0.9 - loss / 2.6}
            | {"val/loss": loss, "val/acc": 1 - loss / 2.6, "lr": lr, "epoch_s": 9, "images_per_s": 5000}
            for epoch, loss in enumerate(losses)
        ]
        best = min(range(epochs), key=losses.__getitem__)
        metrics = {"best_epoch": best, "val_loss": losses[best], "val_acc": 1 - losses[best] / 2.6}
        overrides = [f"model={option}", f"optim.lr={lr:.4g}", f"model.depth={depth}", f"seed={seed}", "name=large"]
        changed: dict[str, Any] = {
            "overrides": overrides,
            "fingerprint": f"{i:016x}",
            "metrics": metrics | {"epochs": epochs, "stop_reason": "max_epochs"},
        }
        if i % 50 == 25:
            error = {"type": "Diverged", "message": "the loss is not finite at step 7", "traceback": "traceback.txt"}
            changed, rows = changed | {"status": "diverged", "error": error, "metrics": {"epochs": 0}, "time": {}}, []
        folder = to / ",".join(overrides[:-1])
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(result | changed))
        (folder / "config.yaml").write_text(yaml.dump(config))
        lines = (",".join(str(row.get(name, "")) for name in columns.split(",")) for row in rows)
        (folder / "metrics.csv").write_text("\n".join([columns, *lines, ""]))


def shoot_page(browser: Browser, report: Path, to: Path) -> None:
    """The first screen of a report, and its table of runs."""
    for name, (width, height, scheme) in WINDOWS.items():
        page = open_page(browser, report.as_uri(), width, height, scheme)
        page.screenshot(path=to.with_name(f"{to.name}_{name}.png"))
        page.evaluate("document.querySelectorAll('#runs').forEach(e => e.open = true)")
        runs = page.locator("[aria-label='Tools of Table: runs']")
        if runs.count():
            runs.evaluate("e => scrollTo(0, e.getBoundingClientRect().top + scrollY - 60)")
            page.screenshot(path=to.with_name(f"{to.name}_{name}_runs.png"))
        page.close()


def shoot_tensorboard(browser: Browser, outputs: Path, shots: Path) -> None:
    """The tabs of TensorBoard with a run and a sweep."""
    command = [sys.executable, "-m", "tensorboard.main", f"--logdir={outputs}", "--host=127.0.0.1", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            address = next(found[0] for line in server.stderr if (found := re.search(r"http://\S+?(?=/? )", line)))
            for tab in TABS:
                page = open_page(browser, f"{address}/#{tab}", 1600, 1000, "light")
                page.wait_for_timeout(10_000)  # it loads and draws in several steps
                page.screenshot(path=shots / f"tensorboard_{tab}.png")
                page.close()
        finally:
            server.terminate()


def open_page(browser: Browser, address: str, width: int, height: int, scheme: Any) -> Page:
    """A page in a window of its own."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.goto(address)
    return page


if __name__ == "__main__":
    main()
