"""Make the pictures of these pages from the output of a few small trainings: `make setup`, then

    .venv/bin/python docs/make_pictures.py [FOLDER]

FOLDER keeps the trainings, so that the same command does not repeat those that are completed. Takes a few minutes. The
report, TensorBoard and the terminal are drawn by Chromium, which must be installed. Pictures of CIFAR-10
(`*_cifar10.png`) and of benchmarks (`growth.png`) come from the runs that their pages describe.
"""

import fcntl
import io
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.text import Text

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
        save(draw_terminal(browser.new_page(viewport={"width": 1400, "height": 900}), screen.read_text()), "sweep.png")
        save(draw_tensorboard(browser.new_page(viewport={"width": 1400, "height": 740}), outputs), "tensorboard.png")


def python(script: str, *arguments: str) -> None:
    """Run a script of the project."""
    subprocess.run([sys.executable, str(SRC / script), *arguments], check=True)


def train(arguments: str, outputs: Path) -> None:
    """Run trainings."""
    python("train.py", *arguments.split(), f"output_dir={outputs}")


def train_in_terminal(arguments: str, outputs: Path) -> str:
    """Run a sweep in a terminal. Returns the last screen with completed and running jobs on it."""
    main_end, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    command = [sys.executable, str(SRC / "train.py"), *arguments.split(), f"output_dir={outputs}"]
    environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    output, shown = b"", ""
    while True:
        try:
            output += os.read(main_end, 65536)
        except OSError:  # the other end is closed
            break
        screen = screen_after(output.decode(errors="replace"))
        if "completed" in screen and re.search(r"[1-9]\d* running", screen):
            shown = screen
    if process.wait() or not shown:
        sys.exit(f"error: the sweep ended with exit status {process.returncode}\n{output.decode(errors='replace')}")
    return shown


def screen_after(output: str) -> str:
    """The lines of a terminal after ``output``, which writes whole lines, deletes lines and moves up."""
    lines, row = [""], 0
    for part in re.split(r"(\r?\n|\r|\x1b\[2K|\x1b\[\d*A|\x1b\[\?25[lh])", output):
        if part.endswith("\n"):
            row += 1
            lines += [""] * (row == len(lines))
        elif part == "\x1b[2K":
            lines[row] = ""
        elif moved := re.fullmatch(r"\x1b\[(\d*)A", part):
            row -= int(moved[1] or 1)
        elif not part.startswith(("\r", "\x1b[?")):
            lines[row] += part
    return "\n".join(lines).rstrip()


def draw_terminal(page: Page, screen: str) -> bytes:
    """The screen of a terminal."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen))
    page.set_content(console.export_svg(title=f"python src/train.py {DEMO}"))
    return page.locator("svg").first.screenshot()


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
