"""Make the pictures of these pages from the output of a few small trainings: `make setup`, then

    .venv/bin/python docs/make_pictures.py [FOLDER]

FOLDER keeps the trainings, so that the same command does not repeat those that are completed. Takes a few minutes. The
report, TensorBoard and the terminal are drawn by Chromium, which must be installed. Pictures of CIFAR-10
(`*_cifar10.png`) and of benchmarks (`growth.png`) come from the runs that their pages describe.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import terminal
from PIL import Image
from playwright.sync_api import Page, sync_playwright

DOCS = Path(__file__).resolve().parent
SRC = DOCS.parent / "src"
MAX_BYTES = 300_000
PAGE_WIDTH = 1100  # of the report
COLUMNS, ROWS = 108, 30  # of the terminal
DEMO = "-m model=elu_he,bn,selu seed=1,2,3 experiment=demo name=demo"


def main() -> None:
    """Train, then draw everything."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("error: Chromium is needed; apt-get install chromium")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # several times as fast where cores are shared
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        outputs = Path(sys.argv[1] if len(sys.argv) > 1 else folder).resolve()
        screen = outputs / "screen.txt"
        if not screen.exists():
            screen.write_text(train_in_terminal(DEMO, outputs))
        train("-m model=elu_he,bn,selu lr_search=grid data=shapes trainer.max_epochs=1 name=search", outputs)
        train("model=alpha_dropout data=shapes optim.lr=5e-4 trainer.max_epochs=12 name=first", outputs)
        python("eval.py", f"ckpt_path={outputs}/first/checkpoints/best.ckpt", "mc_samples=100")
        save((outputs / "search" / "figures" / "lr_search_grid.png").read_bytes(), "lr_search.png")
        save((outputs / "first" / "eval_figures" / "reliability.png").read_bytes(), "reliability.png")
        browser = playwright.chromium.launch(executable_path=chromium)
        save(draw_report(browser.new_page(viewport={"width": PAGE_WIDTH, "height": 1000}), outputs), "report.png")
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        save(terminal.draw(page, screen.read_text(), COLUMNS, f"python src/train.py {DEMO}"), "sweep.png")
        save(draw_tensorboard(browser.new_page(viewport={"width": 1400, "height": 740}), outputs), "tensorboard.png")


def python(script: str, *arguments: str) -> None:
    """Run a script of the project."""
    subprocess.run([sys.executable, str(SRC / script), *arguments], check=True)


def train(arguments: str, outputs: Path) -> None:
    """Run trainings."""
    python("train.py", *arguments.split(), f"output_dir={outputs}")


def train_in_terminal(arguments: str, outputs: Path) -> str:
    """Run a sweep in a terminal. Returns the last screen with completed and running jobs on it."""
    command = [sys.executable, str(SRC / "train.py"), *arguments.split(), f"output_dir={outputs}"]
    screens = [screen for _, screen in terminal.record(command, COLUMNS, ROWS)]
    plain = [re.sub(r"\x1b\[[\d;]*m", "", screen) for screen in screens]
    shown = [i for i, text in enumerate(plain) if "completed" in text and re.search(r"[1-9]\d* running", text)]
    return screens[shown[-1]]


def draw_report(page: Page, outputs: Path) -> bytes:
    """The answer, the chart and the table of groups of the report."""
    page.goto((outputs / "demo" / "report.html").as_uri())
    box: Any = page.locator("h2", has_text="Curves").bounding_box()
    return page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": PAGE_WIDTH, "height": box["y"] - 20})


def draw_tensorboard(page: Page, outputs: Path) -> bytes:
    """The curves of the demo."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", "demo", "--port=0"]
    with subprocess.Popen(command, cwd=outputs, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            address = next(found[0] for line in server.stderr if (found := re.search(r"http://\S+?(?=/? )", line)))
            page.goto(f"{address}/#scalars&tagFilter=(train|val)%2F(loss|acc)&_smoothingWeight=0")
            page.locator("tf-line-chart-data-loader svg").nth(3).wait_for(timeout=60_000)
            page.wait_for_timeout(5000)  # the curves are drawn after their axes
            return page.screenshot()
        finally:
            server.terminate()


def save(png: bytes, name: str) -> None:
    """Write a picture with at most 256 colors."""
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    path = DOCS / "images" / name
    picture.save(path, optimize=True)
    if path.stat().st_size > MAX_BYTES:
        sys.exit(f"error: {path} has {path.stat().st_size} bytes, more than {MAX_BYTES}")
    print(path)


if __name__ == "__main__":
    main()
