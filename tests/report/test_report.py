"""The report: one self-contained page from a run folder, whatever the folder lacks."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from saddlepoint.errors import CheckpointError, UsageError
from saddlepoint.report.charts import Curve, line_chart, number, ticks
from saddlepoint.report.html import write_report
from saddlepoint.report.pictures import MAX_FRAMES
from saddlepoint.report.reading import curve, read_run


def _load_runs() -> ModuleType:
    """The makers of run folders, from the file beside this one (tests are no package)."""
    spec = importlib.util.spec_from_file_location("report_runs", Path(__file__).with_name("runs.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["report_runs"] = module
    spec.loader.exec_module(module)
    return module


runs = _load_runs()
VOID = {"meta", "img", "input", "line", "circle", "polyline", "polygon", "br", "link"}


class Page(HTMLParser):
    """Checks that every tag is closed in order, and keeps what the page refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.headings: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "data", "srcset")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)

    def pictures(self) -> list[Image.Image]:
        return [Image.open(io.BytesIO(base64.b64decode(ref.partition(",")[2]))) for ref in self.references if ref.startswith("data:image/")]


def report_of(folder: Path) -> tuple[str, Page]:
    path = write_report(folder)
    assert path == folder / "report.html"
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


def test_a_whole_run_holds_every_section(tmp_path: Path) -> None:
    text, page = report_of(runs.make_run(tmp_path / "run"))
    assert page.headings == [
        "Health",
        "Samples over time",
        "Scores",
        "Losses",
        "What the discriminator thinks",
        "Nearest real images",
        "How the numbers were made",
        "Settings",
        "How to reproduce it",
    ]
    for words in (
        "256,000",
        "best, round 3,200",
        "real against real",
        "not FID",
        "round 1,000",
        "among 10,000 real images",
        "quick-12345678",
        "abc1234",
    ):
        assert words in text, words
    assert "saddlepoint train dcgan --data fashion --seed 7" in text
    assert text.count('class="chart"') == 3 + 2 + 3
    assert len(page.pictures()) == 7 + 1 + 24


def test_it_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    text, page = report_of(runs.make_run(tmp_path / "run"))
    assert [ref for ref in page.references if not ref.startswith("data:image/")] == ["https://arxiv.org/abs/1511.06434"]
    assert "@import" not in text and "url(" not in text and not re.search(r"<script[^>]+src|fetch\(|XMLHttpRequest", text)


def test_what_a_run_says_is_text_and_never_markup(tmp_path: Path) -> None:
    text, _ = report_of(runs.make_run(tmp_path / "run", title="<script>alert(1)</script>", command="x && <b>", url="javascript:alert(1)"))
    assert "<script>alert" not in text and "&lt;script&gt;alert" in text
    assert "Learning &lt;with&gt; Deep" in text and "falling &lt;since&gt; round" in text
    assert 'href="javascript' not in text


def test_pictures_are_those_of_the_run(tmp_path: Path) -> None:
    folder = runs.make_run(tmp_path / "run")
    _, page = report_of(folder)
    with Image.open(folder / "samples" / "round-00004000.png") as last, Image.open(folder / "samples" / "real.png") as real:
        assert np.array_equal(np.asarray(page.pictures()[6]), np.asarray(last))
        assert np.array_equal(np.asarray(page.pictures()[7]), np.asarray(real))


def test_neighbours_come_closest_first(tmp_path: Path) -> None:
    folder = runs.make_run(tmp_path / "run")
    text, _ = report_of(folder)
    distances = re.findall(r"features (\S+) · pixels", text)
    expected = np.sort(np.load(folder / "samples" / "nearest.npz")["distance_feature"])[:24]
    assert distances == [number(round(float(value), 3)) for value in expected]


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("log.jsonl", "no log of losses"),
        ("scores.jsonl", "The run has no scores"),
        ("health.jsonl", "found nothing wrong"),
        ("samples/nearest.npz", "was not made (samples/nearest.npz)"),
        ("samples/real.png", "nothing real to put beside"),
        ("timing.jsonl", "256,000"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, missing: str, sentence: str) -> None:
    folder = runs.make_run(tmp_path / "run")
    (folder / missing).unlink()
    assert sentence in report_of(folder)[0]


def test_an_almost_empty_run(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    text, _ = report_of(tmp_path)
    for sentence in (
        "Nothing was logged",
        "no sample grids",
        "no scores",
        "No score, no protocol",
        "settings were not recorded",
        "command was not recorded",
    ):
        assert sentence in text


def test_damaged_files_are_left_out(tmp_path: Path) -> None:
    folder = runs.make_run(tmp_path / "run")
    grid = folder / "samples" / "round-00001000.png"
    grid.write_bytes(grid.read_bytes()[:200])
    (folder / "samples" / "nearest.npz").write_bytes(b"PK\x03\x04 cut off")
    with (folder / "log.jsonl").open("a") as log:
        log.write('{"round": 4020, "discriminator/adversarial": NaN}\n{"round": 40')
    text, page = report_of(folder)
    assert "1 could not be read" in text and "cannot be read (samples/nearest.npz)" in text
    assert len(page.pictures()) == 6 + 1
    assert "nan" not in re.sub(r"<script.*", "", text).lower()


def test_no_run_and_a_damaged_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no run\.json"):
        write_report(tmp_path)
    for content in (b'{"recipe": ', b"[1, 2]", b"\xff\xfe\x00"):
        (tmp_path / "run.json").write_bytes(content)
        with pytest.raises(CheckpointError, match="damaged"):
            write_report(tmp_path)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_points_are_scattered_over_the_real_ones(tmp_path: Path, d: int) -> None:
    text, page = report_of(runs.make_points_run(tmp_path / "run", d))
    assert "Nearest real images" not in page.headings
    assert len(page.pictures()) == 5 + 1 and all(picture.mode == "RGBA" for picture in page.pictures())
    assert "Modes covered" in text and "grey in both pictures" in text
    assert ("the first 2 of 3 coordinates" in text) == (d == 3)


def test_points_that_are_not_finite_do_not_stop_it(tmp_path: Path) -> None:
    folder = runs.make_points_run(tmp_path / "run")
    np.savez(folder / "samples" / "round-00005000.npz", points=np.full((9, 2), np.nan, dtype=np.float32))
    assert "1 could not be read" in report_of(folder)[0]


def test_many_previews_are_thinned_out(tmp_path: Path) -> None:
    folder = runs.make_run(tmp_path / "run")
    source = folder / "samples" / "round-00000000.png"
    for r in range(5000, 5100):
        (folder / "samples" / f"round-{r:08d}.png").write_bytes(source.read_bytes())
    text, page = report_of(folder)
    assert f"{MAX_FRAMES} of 107 previews" in text and "round 5,099" in text and "round 0<" in text
    assert len(page.pictures()) == MAX_FRAMES + 1 + 24


def test_a_floor_may_be_a_single_number_and_a_protocol_may_be_missing(tmp_path: Path) -> None:
    folder = runs.make_run(tmp_path / "run")
    runs.write_lines(folder / "scores.jsonl", [{"round": 1, "quick_frechet": 5.0, "floor": 0.4}, {"round": 2, "quick_frechet": 4.0, "floor": 0.4}])
    run = read_run(folder)
    assert run.metric == "quick_frechet" and run.best == run.scores[1]
    text, _ = report_of(folder)
    assert "real against real" in text and "without their protocol" in text


def test_writing_again_replaces_the_page(tmp_path: Path) -> None:
    folder = runs.make_run(tmp_path / "run")
    first = report_of(folder)[0]
    assert report_of(folder)[0] == first
    assert not list(folder.glob("*.tmp"))


def test_curves_skip_what_is_no_number() -> None:
    records = [{"round": 1, "a": 1.0}, {"round": 2, "a": float("nan")}, {"round": 3}, {"round": 4, "a": "x"}, {"round": 5, "a": 2}]
    assert curve(records, "a") == ([1.0, 5.0], [1.0, 2.0])


def test_a_chart_puts_values_where_they_belong() -> None:
    svg = line_chart("t", [Curve("a", [0, 10], [0, 1])])
    (left, low), (right, high) = [tuple(map(float, point.split(","))) for point in re.search(r'<polyline[^>]+points="([^"]+)"', svg)[1].split()]
    assert left < right and low > high  # up is smaller in SVG
    assert "logarithmic" not in svg
    assert "logarithmic" in line_chart("t", [Curve("a", [0, 1], [1, 100])])
    assert "logarithmic" not in line_chart("t", [Curve("a", [0, 1], [0.01, 1])], share=True)


@pytest.mark.parametrize("values", [[5.0], [3.0, 3.0], [0.0, 0.0], [-1e-9, 1e-9], [1e30, 2e30], list(range(5000))])
def test_charts_of_odd_curves(values: list[float]) -> None:
    svg = line_chart("t", [Curve("a", list(range(len(values))), values)], levels=[("floor", 1.0)], mark=("best", 0))
    Page(svg)
    assert "nan" not in svg and "inf" not in svg
    assert len(svg) < 40_000
    assert ("shade" in svg) == (len(values) > 480)


def test_numbers_and_ticks() -> None:
    assert [number(x) for x in (0.5, 1000.4, 2e12, -0.25)] == ["0.5", "1,000", "2e+12", "-0.25"]
    for low, high in ((0, 1), (-3, 7), (1e-7, 3e-7), (5, 5e6)):
        assert 3 <= len(ticks(low, high)) <= 11
        assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks(low, high))


def test_run_json_is_shown_whole(tmp_path: Path) -> None:
    text, _ = report_of(runs.make_run(tmp_path / "run"))
    shown = re.search(r"<summary>run.json</summary><pre>(.*?)</pre>", text, re.S)[1]
    import html

    assert json.loads(html.unescape(shown))["commit"] == "abc1234"


def test_text_is_shown_beside_real_text(tmp_path: Path) -> None:
    folder = runs.make_run(tmp_path / "run")
    for path in (folder / "samples").iterdir():
        path.unlink()
    (folder / "samples" / "round-00000010.txt").write_text("a <b> c\n")
    (folder / "samples" / "round-00000020.txt").write_text("second\n")
    (folder / "samples" / "real.txt").write_text("from the data\n")
    text, _ = report_of(folder)
    assert "<pre>a &lt;b&gt; c\n</pre><figcaption>round 10" in text and "<pre>second\n</pre>" in text
    assert "<pre>from the data\n</pre><figcaption>from the training data" in text
    (folder / "samples" / "real.txt").unlink()
    assert "nothing real to put beside" in report_of(folder)[0]


def test_volumes_are_shaded(tmp_path: Path) -> None:
    folder = runs.make_run(tmp_path / "run")
    for path in (folder / "samples").iterdir():
        path.unlink()
    volumes = np.zeros((4, 1, 8, 8, 8), dtype=np.float32)
    volumes[:, :, 2:6, 2:6, 2:6] = 1
    for name in ("round-00000010", "round-00000020", "real"):
        np.savez(folder / "samples" / f"{name}.npz", volumes=volumes)
    text, page = report_of(folder)
    assert len(page.pictures()) == 3 and "None of the" not in text
    assert np.asarray(page.pictures()[0]).std() > 1


def test_scores_without_words_of_their_own_have_a_chart_too(tmp_path: Path) -> None:
    folder = runs.make_run(tmp_path / "run")
    runs.write_lines(
        folder / "scores.jsonl", [{"round": r, "images_seen": 9 * r, "metric": "bits_per_dim", "bits_per_dim": 4 / r} for r in (1, 2, 3)]
    )
    text, _ = report_of(folder)
    assert ">Bits per dim" in text and "<th>bits per dim</th>" in text and "Images seen" not in text
