"""What a person sees of the exercise's report, from results that are made up."""

from pathlib import Path

import pytest

from exercise.page import write_page
from exercise.questions import tuning
from exercise.registry import SECTIONS
from exercise.store import Evidence
from exercise_results import MC, THREE_SEEDS, leave_part
from run_folders import leave_run

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PHONE = 390  # pixels


@pytest.fixture(scope="module")
def exercise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exercise")
    for i, key in enumerate(tuning.PARTS):
        accuracies = [0.50 + 0.01 * i, 0.501 + 0.01 * i, 0.503 + 0.01 * i]
        leave_part(lambda name, *given, **more: leave_run(folder / name, *given, **more), key, accuracies)
    evidence = Evidence(folder, THREE_SEEDS)
    evidence.keep(tuning.MC, MC)
    evidence.keep(tuning.STEPS, {key: [2.0, 2.0 + 0.01 * i, 2.0] for i, key in enumerate(tuning.PARTS, 1)})
    return write_page(SECTIONS, evidence, {"question_8_plain": 1200.0})


def test_it_opens_offline_and_its_contents_lead_to_every_section(open_page, exercise: Path):
    opened = open_page(exercise)
    assert opened.errors == []
    assert [address for address in opened.requests if not address.startswith("data:")] == [exercise.as_uri()]
    links = opened.page.locator("nav a")
    assert links.count() == len(SECTIONS)
    for section in SECTIONS:
        opened.page.locator(f"nav a[href='#{section.key}']").click()
        assert opened.page.locator(f"section[id='{section.key}'] h2").evaluate(
            "e => { const r = e.getBoundingClientRect(); return r.top >= 0 && r.top < innerHeight; }"
        )


def test_its_figures_are_drawn_and_captioned(open_page, exercise: Path):
    page = open_page(exercise).page
    pictures = page.locator("figure img")
    assert pictures.count() >= len(tuning.SECTIONS)
    pictures.evaluate_all("all => Promise.all(all.map(e => e.decode()))")
    assert pictures.evaluate_all("all => all.every(e => e.naturalWidth > 200)")
    assert all(len(text) > 20 for text in page.locator("figcaption").all_text_contents())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_reads_well_in_the_dark(open_page, exercise: Path, scheme: str):
    opened = open_page(exercise, width=PHONE, scheme=scheme)
    opened.page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert opened.overflow_px() <= 0
    assert (opened.luminance() < 0.1) is (scheme == "dark")
    assert opened.faint() == []


def test_figures_are_no_larger_than_drawn_and_fit_a_phone(open_page, exercise: Path):
    wide = open_page(exercise, width=1280).page.locator("figure img")
    assert wide.evaluate_all("all => all.every(e => e.clientWidth <= e.naturalWidth)")
    narrow = open_page(exercise, width=PHONE).page.locator("figure img")
    assert narrow.evaluate_all(f"all => all.every(e => e.getBoundingClientRect().right <= {PHONE})")


def test_settings_can_be_read(open_page, exercise: Path):
    page = open_page(exercise).page
    page.locator("section[id='8'] summary").click()
    assert (
        "experiment=exercise/part_8d_selu,exercise/part_8e_alpha_dropout"
        in page.locator("section[id='8'] .settings").inner_text()
    )
