"""The engine: features kept and gone on with, scores with floor, error and protocol, bad input refused in one line."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import saddlepoint
from saddlepoint.data.sources import open_data
from saddlepoint.errors import SaddlepointError, StorageError, UsageError
from saddlepoint.evaluation import scoring_pairs
from saddlepoint.evaluation.classwise import class_frechet
from saddlepoint.evaluation.engine import divide, evaluate
from saddlepoint.evaluation.extractors import Extractor, Outputs, open_extractor
from saddlepoint.evaluation.frechet import frechet_distance
from saddlepoint.evaluation.inception import inception_score
from saddlepoint.evaluation.kernel import kernel_distance
from saddlepoint.evaluation.measures import HINTS, MEASURES
from saddlepoint.evaluation.protocol import differences
from saddlepoint.evaluation.scoring import jackknife
from saddlepoint.evaluation.sets import CHUNK_ROWS, SampleSet, of_data, of_function
from saddlepoint.evaluation.store import Features

ALL = "fd,precision-recall,density-coverage,pairwise-distance,sliced-wasserstein"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Counting:
    """An extractor that counts what it looks at: the mean and deviation of each image."""

    def __init__(self) -> None:
        self.seen = 0

    def look(self, images: Tensor) -> Outputs:
        self.seen += len(images)
        flat = images.float().flatten(1)
        return {"features": torch.stack([flat.mean(1), flat.std(1)], 1)}

    def extractor(self, **changes: object) -> Extractor:
        given = {"name": "counting", "weights_hash": "0", "dimension": 2, "preprocessing": "none"} | changes
        return Extractor(look=self.look, **given)


def points(shift: float = 0.0, num: int = 400, scale: float = 1.0) -> SampleSet:
    def draw(n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, 3, generator=rng) * scale + shift

    return of_function(draw, num, name="normal", seed=int(shift * 10) + 1)


def save(folder: Path, images: list[np.ndarray]) -> Path:
    folder.mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index}.png")
    return folder


def noise(num: int, size: int = 8, channels: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (size, size, channels) if channels > 1 else (size, size), dtype=np.uint8) for _ in range(num)]


# -- features on disk ----------------------------------------------------------------------------------------------------------------------


def test_features_are_extracted_once_and_are_what_the_extractor_gives() -> None:
    data, counting = open_data("fashion"), Counting()
    samples = of_data(data, torch.arange(CHUNK_ROWS + 100))
    rows = Features(samples, counting.extractor()).rows()
    again = Features(samples, counting.extractor()).rows()
    assert counting.seen == len(samples_of := data.records(torch.arange(CHUNK_ROWS + 100))["image"])
    assert np.array_equal(rows, again)
    assert np.array_equal(rows, counting.extractor()(samples_of)["features"].numpy())


@pytest.mark.parametrize("change", [{"weights_hash": "1"}, {"preprocessing": "other"}, {"name": "other"}])
def test_another_extractor_has_features_of_its_own(change) -> None:
    counting, samples = Counting(), of_data(open_data("fashion"), torch.arange(20))
    for extractor in (counting.extractor(), counting.extractor(**change)):
        Features(samples, extractor).rows()
    assert counting.seen == 40


def test_other_samples_have_features_of_their_own() -> None:
    counting, data = Counting(), open_data("fashion")
    folders = {Features(of_data(data, rows), counting.extractor()).folder for rows in (torch.arange(20), torch.arange(1, 21))}
    assert len(folders) == 2


def test_a_damaged_file_is_made_again(cache) -> None:
    counting, samples = Counting(), of_data(open_data("fashion"), torch.arange(20))
    rows = Features(samples, counting.extractor()).rows()
    (file,) = cache.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-3])
    assert np.array_equal(Features(samples, counting.extractor()).rows(), rows)
    assert counting.seen == 40


def test_a_place_that_cannot_be_written_is_named(cache) -> None:
    cache.write_text("a file")
    with pytest.raises(StorageError, match=r"Cannot keep features in .* set SADDLEPOINT_CACHE"):
        Features(of_data(open_data("fashion"), torch.arange(20)), Counting().extractor()).rows()


KILLED = """
import os, signal, sys, torch
from saddlepoint.data.sources import open_data
from saddlepoint.evaluation.extractors import Extractor
from saddlepoint.evaluation.sets import CHUNK_ROWS, of_data
from saddlepoint.evaluation.store import Features
seen = 0
def look(images):
    global seen
    seen += len(images)
    if seen > 2 * CHUNK_ROWS:
        os.kill(os.getpid(), signal.SIGKILL)
    flat = images.float().flatten(1)
    return {"features": torch.stack([flat.mean(1), flat.std(1)], 1)}
extractor = Extractor(name="counting", weights_hash="0", dimension=2, preprocessing="none", look=look)
Features(of_data(open_data("fashion"), torch.arange(4 * CHUNK_ROWS)), extractor).rows()
"""


def test_a_killed_extraction_goes_on_where_it_was() -> None:
    assert subprocess.run([sys.executable, "-c", KILLED], timeout=120).returncode == -signal.SIGKILL
    counting, samples = Counting(), of_data(open_data("fashion"), torch.arange(4 * CHUNK_ROWS))
    rows = Features(samples, counting.extractor()).rows()
    assert counting.seen == 2 * CHUNK_ROWS
    assert np.array_equal(rows, Counting().extractor()(samples.read(0, 4 * CHUNK_ROWS))["features"].numpy())


# -- scores --------------------------------------------------------------------------------------------------------------------------------


def test_streamed_distance_is_that_of_all_rows_at_once() -> None:
    real, fake = points(num=1300), points(0.5, num=1100)
    found = evaluate(real, None, fake, metrics=["fd"], extractor=None)["scores"]["fd"]
    assert found["value"] == pytest.approx(frechet_distance(real.read(0, 1300), fake.read(0, 1100)), rel=1e-9)
    assert found["floor"] is None


def test_fewer_samples_than_dimensions_are_scored_as_any_others() -> None:
    def wide(num: int, seed: int) -> SampleSet:
        return of_function(lambda n, rng: torch.randn(n, 90, generator=rng), num, name="normal", seed=seed)

    for num in (60, 91):  # held in memory; streamed
        real, fake = wide(num, 0), wide(num, 1)
        found = evaluate(real, wide(num, 2), fake, metrics=["fd"], extractor=None)["scores"]["fd"]
        assert found["value"] == pytest.approx(frechet_distance(real.read(0, num), fake.read(0, num)), rel=1e-6)
        assert found["error"] > 0 and found["floor"] == pytest.approx(found["value"], rel=0.1)


@pytest.mark.parametrize(("num_real", "num_fake"), [(4000, 400), (400, 4000)])
def test_error_is_the_spread_of_repeated_draws_of_either_side(num_real, num_fake) -> None:
    def draw(shift: float, num: int, seed: int) -> SampleSet:
        return of_function(lambda n, rng: torch.randn(n, 3, generator=rng) + shift, num, name="normal", seed=seed)

    repeats = [(draw(0.0, num_real, seed), draw(0.5, num_fake, 100 + seed)) for seed in range(40)]
    found = [evaluate(real, None, fake, metrics=["fd"], extractor=None)["scores"]["fd"] for real, fake in repeats]
    spread = np.std([score["value"] for score in found], ddof=1)
    assert np.mean([score["error"] for score in found]) == pytest.approx(spread, rel=0.35)  # 1 / sqrt(2 * 39) = 11 % of either, three times that


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=50)
    left_out = [np.delete(values, i).mean() for i in range(50)]
    assert jackknife(left_out) == pytest.approx(values.std(ddof=1) / np.sqrt(50), rel=1e-12)


TWO_SETS = [name for name, measure in MEASURES.items() if "points" in measure.kinds and not measure.needs and name not in ("class-fd", "modes")]


@pytest.mark.parametrize("name", sorted(TWO_SETS))
def test_every_metric_has_score_floor_and_error(name) -> None:
    real, held, fake = points(num=200), points(0.0, num=200), points(3.0, num=200)
    result = evaluate(real, held, fake, metrics=[name], extractor=None)
    assert set(result["scores"]) == set(MEASURES[name].better)
    for score in result["scores"].values():
        assert score["floor"] is not None and score["error"] is not None and score["error"] >= 0
        if score["better"] == "lower":
            assert score["value"] > score["floor"]
        elif score["better"] == "higher":
            assert score["value"] < score["floor"]


def test_a_collapsed_generator_loses_recall_and_not_precision() -> None:
    scores = evaluate(points(num=400), None, points(0.0, num=400, scale=0.1), metrics=["precision-recall"], extractor=None)["scores"]
    assert scores["precision"]["value"] > 0.95 and scores["recall"]["value"] < 0.2


def test_cost_is_said_before_pairs_are_compared() -> None:
    told: list[str] = []
    evaluate(points(), None, points(1.0), metrics=["precision-recall"], extractor=None, tell=told.append)
    assert any("compares all pairs of 400 real and 400 generated rows of 3" in line for line in told)


def test_few_samples_are_noted() -> None:
    notes = evaluate(points(), None, points(1.0), metrics=["fd"], extractor=None)["notes"]
    assert any("400 samples a side are few" in note for note in notes) and any(note.startswith("No floor") for note in notes)


def test_real_and_held_out_samples_do_not_overlap() -> None:
    data = open_data("digits")
    real, held = divide(data, None, 500, 0)
    assert held is not None and (real.num, held.num) == (500, 500)
    rows = {tuple(image.flatten().tolist()) for image in real.read(0, 500)}
    shared = sum(tuple(image.flatten().tolist()) in rows for image in held.read(0, 500))
    assert shared == 0
    assert divide(data, len(data) - 10, 500, 0)[1] is None


def test_metrics_of_images_agree_with_their_functions(monkeypatch) -> None:
    monkeypatch.setattr(scoring_pairs, "PAIRS", 300)
    monkeypatch.setattr(scoring_pairs, "PATCHES", 8)
    data = open_data("fashion")
    real, held, fake = (of_data(data, torch.arange(start, start + 600)) for start in (0, 600, 1200))
    extractor = open_extractor("quick:fashion")
    scores = evaluate(real, held, fake, metrics=["is", "kid", "class-fd", "ms-ssim", "swd"], extractor=extractor)["scores"]
    images = [data.records(torch.arange(start, start + 600)) for start in (0, 1200)]
    found = [extractor(records["image"]) for records in images]
    assert scores["is"]["value"] == pytest.approx(inception_score(found[1]["probabilities"]).value, rel=1e-9)
    assert scores["kid"]["value"] == kernel_distance(found[0]["features"], found[1]["features"]).value
    within = class_frechet(found[0]["features"], images[0]["label"], found[1]["features"], images[1]["label"]).value
    assert scores["class_fd"]["value"] == pytest.approx(within, rel=1e-7)
    assert scores["swd_28"]["value"] == scores["swd"]["value"] > 0
    assert scores["ms_ssim"]["value"] == pytest.approx(scores["ms_ssim"]["floor"], abs=0.05)
    assert all(score["error"] is not None and score["error"] > 0 for score in scores.values())


def test_metrics_that_the_samples_do_not_allow_are_refused() -> None:
    gray = of_data(open_data("fashion"), torch.arange(20))
    bare = of_function(lambda n, rng: torch.zeros(n, 1, 28, 28), 20, name="gray", seed=0)
    cases = [(points(), points(), "is", "is of image samples; these are points"), (gray, bare, "class-fd", "class of every sample; gray has none")]
    cases += [(gray, gray, "is", "quick gives no probabilities"), *((gray, gray, name, f"no metric '{name}' by that name") for name in HINTS)]
    for real, fake, metric, message in cases:
        with pytest.raises(UsageError, match=message):
            evaluate(real, None, fake, metrics=[metric], extractor=open_extractor("quick"))


# -- through the front door ----------------------------------------------------------------------------------------------------------------


def test_a_folder_against_data_with_its_protocol() -> None:
    result = saddlepoint.evaluate("fashion:test", against="fashion:train", metrics=ALL, num=200)
    assert {"fd", "precision", "recall", "density", "coverage", "pairwise_distance", "sliced_wasserstein"} == set(result["scores"])
    wanted = "extractor extractor_hash preprocessing dimension num_real num_fake truncation ema seed version commit content_hash"
    assert set(wanted.split()) <= set(result["protocol"])
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_fewer_samples_than_there_are_come_from_all_of_them(tmp_path) -> None:
    ordered = np.repeat(np.array([0, 255], np.uint8), 100)[:, None, None, None] * np.ones((1, 1, 8, 8), np.uint8)
    np.save(tmp_path / "ordered.npy", ordered)
    result = saddlepoint.evaluate(tmp_path / "ordered.npy", against=str(tmp_path / "ordered.npy"), metrics="fd", num=60)
    assert result["scores"]["fd"]["value"] < 0.2 * frechet_of_one_class(ordered)


def frechet_of_one_class(ordered: np.ndarray) -> float:
    quick = open_extractor("quick")
    whole, first = quick(torch.from_numpy(ordered))["features"], quick(torch.from_numpy(ordered[:60]))["features"]
    return frechet_distance(whole, first)


def test_a_function_is_scored() -> None:
    def gray(n: int, rng: torch.Generator) -> Tensor:
        return torch.rand(n, 1, 28, 28, generator=rng) * 2 - 1

    result = saddlepoint.evaluate(gray, against="fashion", metrics=["fd"], num=100)
    assert result["samples"] == "gray" and result["scores"]["fd"]["value"] > result["scores"]["fd"]["floor"]
    assert saddlepoint.evaluate(gray, against="fashion", num=100)["quick_frechet"] > 0


def test_the_default_is_the_quick_score() -> None:
    result = saddlepoint.evaluate("digits", against="digits", num=100)
    assert {"quick_frechet", "coverage", "pairwise_distance", "floor", "protocol"} <= set(result)


MINE = """
def means(images):
    return images.mean((2, 3))
means.dimension = 3

def broken(images):
    return images.mean((2, 3)) * float("nan")
"""


def test_ones_own_extractor(tmp_path, monkeypatch) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    folder = save(tmp_path / "images", noise(40))
    result = saddlepoint.evaluate(folder, against=str(folder), extractor="mine:means")
    assert result["protocol"]["extractor"] == "mine:means" and result["protocol"]["dimension"] == 3
    with pytest.raises(UsageError, match=r"mine:broken gave NaN or infinity for 20 of 20 samples"):
        saddlepoint.evaluate(folder, against=str(folder), extractor="mine:broken")


def test_quick_with_classes_gives_probabilities() -> None:
    extractor = open_extractor("quick:fashion")
    found = extractor(open_data("fashion").records(torch.arange(10))["image"])
    assert found["probabilities"].shape == (10, 10)
    assert torch.allclose(found["probabilities"].sum(1), torch.ones(10))


def test_the_page_names_every_metric() -> None:
    page = (Path(saddlepoint.__file__).parents[1] / "docs" / "evaluation.md").read_text()
    for measure in MEASURES.values():
        assert f"| `{measure.name}` | {', '.join(f'`{score}`' for score in measure.better)}" in page


# -- protocols -----------------------------------------------------------------------------------------------------------------------------


def test_differences_name_what_differs() -> None:
    a = saddlepoint.evaluate("digits", against="digits", metrics="fd", num=50)["protocol"]
    b = saddlepoint.evaluate("digits", against="digits", metrics="fd", num=60, seed=1)["protocol"]
    assert differences(a, a) == []
    assert differences(a, b) == ["number of real samples: 50 and 60", "number of generated samples: 50 and 60"]
    assert differences(a, a | {"extractor": "lite0"}) == ["extractor: quick and lite0"]


# -- what cannot be used -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metrics": "fdd"}, r"There is no metric 'fdd'. Nearest: fd"),
        ({"metrics": ""}, r"There is no metric ''"),
        ({"extractor": "quik"}, r"There is no extractor 'quik'. Nearest: quick"),
        ({"extractor": "quick:cars"}, r"knows .*fashion.*; 'cars' came"),
        ({"extractor": "nowhere:net"}, r"cannot be imported"),
        ({"extractor": "math:nothing"}, r"module math has no 'nothing'"),
        ({"extractor": "math:pi"}, r"is of type float"),
        ({"weights": "w.pth"}, r"brings its own weights"),
        ({"num": 1}, r"At least 2 generated samples"),
        ({"num": 10**6}, r"holds \d+ samples; 1000000 were asked for"),
        ({"num_real": 10**6, "num": 50}, r"records; 1000000 real samples were asked for"),
        ({"against": "ring8"}, r"holds points samples and digits image"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(settings, message) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        saddlepoint.evaluate("digits", **({"against": "digits", "metrics": "fd"} | settings))
    assert "\n" not in str(raised.value)


def test_bad_folders_are_refused_in_one_line(tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    folders = {
        tmp_path / "empty": r"no images|empty",
        save(tmp_path / "one", noise(1)): r"at least 2|2 generated",
        save(tmp_path / "sizes", [*noise(2, 8), *noise(2, 12)]): r"size|resolution",
    }
    for folder, message in folders.items():
        with pytest.raises(SaddlepointError, match=re.compile(message, re.IGNORECASE)) as raised:
            saddlepoint.evaluate(folder, against="digits", metrics="fd")
        assert "\n" not in str(raised.value)


def test_images_of_several_sizes_are_brought_to_one(tmp_path) -> None:
    folder = save(tmp_path / "sizes", [*noise(10, 8), *noise(10, 12)])
    assert saddlepoint.evaluate(folder, against="digits", metrics="fd", resolution=16)["protocol"]["resolution"] == [3, 16, 16]


def test_sixteen_bits_and_alpha(tmp_path) -> None:
    deep = [np.random.default_rng(i).integers(0, 2**16, (8, 8), dtype=np.uint16) for i in range(4)]
    for name, images in (("deep", deep), ("alpha", noise(4, channels=4))):
        result = saddlepoint.evaluate(save(tmp_path / name, images), against="digits", metrics="fd", resolution=16)
        assert np.isfinite(result["scores"]["fd"]["value"]), name


def test_sizes_that_differ_are_named() -> None:
    with pytest.raises(UsageError, match=r"Real samples have shape \[3\] and generated \[2\]. Name real data of the same dimension"):
        evaluate(points(), None, of_function(lambda n, rng: torch.zeros(n, 2), 10, name="zeros", seed=0), metrics=["fd"], extractor=None)


def test_a_generator_of_something_else_is_refused() -> None:
    for draw, message in ((lambda n, rng: [1], "list came"), (lambda n, rng: torch.full((n, 2), float("nan")), "NaN or infinity")):
        with pytest.raises(UsageError, match=message):
            of_function(draw, 10, name="draw", seed=0)
