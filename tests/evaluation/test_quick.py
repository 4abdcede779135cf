"""The shipped classifier and what rests on it: accuracy as stated, quick scores with floor and protocol, nearest real images, copies found."""

from __future__ import annotations

import hashlib
import json
import math
import time
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from saddlepoint.data.records import Dataset, DataSpec
from saddlepoint.data.sources import open_data
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.classifier import CARD, WEIGHTS, QuickFeatures, prepare
from saddlepoint.evaluation.frechet import frechet_distance
from saddlepoint.evaluation.memorisation import copy_ratio, nearest_reals, write_nearest
from saddlepoint.evaluation.quick import QuickScorer

FILES = resources.files("saddlepoint.evaluation") / "files"


class Stub:
    """A data set of given images."""

    def __init__(self, images: Tensor) -> None:
        self.images, self.spec = images, DataSpec(name="stub", kind="image", shape=tuple(images.shape[1:]), num_records=len(images))

    def __len__(self) -> int:
        return len(self.images)

    def records(self, indices: Tensor) -> dict[str, Tensor]:
        return {"image": self.images[indices]}


@pytest.fixture(scope="module")
def extract() -> QuickFeatures:
    return QuickFeatures()


@pytest.fixture(scope="module")
def fashion() -> Tensor:
    return open_data("fashion").records(torch.arange(3000))["image"]


@pytest.fixture(scope="module")
def scorer() -> QuickScorer:
    return QuickScorer(open_data("fashion"), num_real=600, num_fake=300)


# -- the classifier ------------------------------------------------------------------------------------------------------------------------


def test_files_are_small_and_name_one_another() -> None:
    weights, card = (FILES / WEIGHTS).read_bytes(), json.loads((FILES / CARD).read_text())
    assert len(weights) <= 500_000
    assert hashlib.sha256(weights).hexdigest() == card["weights_sha256"]
    assert QuickFeatures().name == f"quick-{card['weights_sha256'][:8]}"


@pytest.mark.parametrize("head", ["fashion", "digits", "emoji"])
def test_accuracy_is_as_the_card_states(extract: QuickFeatures, head: str) -> None:
    data, entry = open_data(f"{head}:test"), extract.card["heads"][head]
    records = data.records(torch.arange(len(data)))
    guesses = extract.class_probabilities(records["image"], head).argmax(1)
    assert len(data) == entry["held_out_images"] and data.spec.content_hash == entry["held_out_hash"]
    assert tuple(entry["classes"]) == data.spec.class_names
    assert (guesses == records["label"].numpy()).mean() == pytest.approx(entry["held_out_accuracy"], abs=0.5 / len(data) + 1e-4)


def test_it_is_good_enough_to_measure_with(extract: QuickFeatures) -> None:
    accuracy = {head: entry["held_out_accuracy"] for head, entry in extract.card["heads"].items()}
    assert accuracy["fashion"] >= 0.87 and accuracy["digits"] >= 0.97 and accuracy["emoji"] >= 0.6


def test_features_do_not_depend_on_the_batch_and_agree_for_bytes_and_floats(extract: QuickFeatures, fashion: Tensor) -> None:
    features = extract(fashion[:70])
    assert features.shape == (70, 64) and features.dtype == np.float32
    np.testing.assert_allclose(QuickFeatures(batch=7)(fashion[:70]), features, atol=1e-4)
    assert np.array_equal(extract(fashion[:70].double() / 127.5 - 1), features)
    assert np.array_equal(extract(fashion[:70].numpy()), features)
    assert extract(fashion[:0]).shape == (0, 64)


def test_features_have_about_unit_variance_on_real_images(extract: QuickFeatures, fashion: Tensor) -> None:
    deviations = extract(fashion[:500]).std(0)
    assert deviations.min() > 0.4 and deviations.max() < 1.6


@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 3, 32, 32), (2, 3, 64, 64), (2, 1, 8, 8), (2, 3, 48, 20)])
def test_every_size_and_grey_are_prepared(shape: tuple[int, ...]) -> None:
    images = prepare(torch.randint(256, shape, dtype=torch.uint8))
    assert images.shape == (2, 3, 32, 32) and images.dtype == torch.float32
    assert images.min() >= -1.001 and images.max() <= 1.001
    assert shape[1] == 3 or (torch.equal(images[:, 0], images[:, 1]) and torch.equal(images[:, 0], images[:, 2]))


def test_probabilities_and_errors(extract: QuickFeatures, fashion: Tensor) -> None:
    probabilities = extract.class_probabilities(fashion[:9], "digits")
    assert probabilities.shape == (9, 10)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    with pytest.raises(UsageError, match="heads fashion, digits, emoji; 'cars' came"):
        extract.class_probabilities(fashion[:9], "cars")
    with pytest.raises(UsageError, match="1 or 3 channels; 2 came"):
        extract(torch.zeros(3, 2, 32, 32))


# -- the quick score -----------------------------------------------------------------------------------------------------------------------


def test_scores_come_with_floor_and_protocol(scorer: QuickScorer, fashion: Tensor) -> None:
    record = scorer.score(fashion[-300:])
    assert set(record) == {"quick_frechet", "coverage", "pairwise_distance", "floor", "protocol"}
    assert scorer.metric == "quick_frechet" and (scorer.num_real, scorer.num_fake) == (600, 300)
    assert record["protocol"]["extractor"].startswith("quick-") and record["protocol"]["num_fake"] == 300
    assert "not FID" in record["protocol"]["note"] and record["protocol"]["content_hash"] == open_data("fashion").spec.content_hash
    json.dumps(record, allow_nan=False)
    assert scorer.score(fashion[-300:]) == record


def test_real_images_score_at_the_floor(scorer: QuickScorer) -> None:
    fresh = open_data("fashion").records(torch.arange(5000, 5300))["image"]
    record = scorer.score(fresh)
    assert record["quick_frechet"] == pytest.approx(scorer.floor["quick_frechet"], rel=0.6)
    assert record["coverage"] == pytest.approx(scorer.floor["coverage"], abs=0.07)
    assert record["pairwise_distance"] == pytest.approx(1, abs=0.05) == scorer.floor["pairwise_distance"]


@pytest.mark.parametrize("damage", ["noise", "blur", "rectangle", "fewer classes"])
def test_the_distance_grows_with_each_damage(scorer: QuickScorer, damage: str) -> None:
    data = open_data("fashion")
    records = data.records(torch.arange(4000, 7500))
    images, labels = records["image"], records["label"]
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(300, 1, 28, 28, generator=rng)
    values = [scorer.floor["quick_frechet"]]
    for strength in (1, 2, 3):
        x = images[:300].float()
        if damage == "noise":
            x = x + 12 * 2**strength * noise
        elif damage == "blur":
            x = torch.nn.functional.avg_pool2d(x, 2 * strength + 1, stride=1, padding=strength, count_include_pad=False)
        elif damage == "rectangle":
            x[:, :, 4 : 4 + 5 * strength, 4 : 4 + 5 * strength] = 0
        else:
            x = images[labels < 9 - 2 * strength][:300].float()
        values.append(scorer.score(x.clamp(0, 255).to(torch.uint8))["quick_frechet"])
    assert values == sorted(values)
    assert values[-1] > 5 * values[0]


def test_collapse_shows_in_coverage_and_distance_and_noise_in_coverage(scorer: QuickScorer, fashion: Tensor) -> None:
    one = scorer.score(fashion[:1].expand(300, -1, -1, -1))
    assert one["pairwise_distance"] == pytest.approx(0, abs=1e-6) and one["coverage"] < 0.05
    assert scorer.score(torch.rand(300, 1, 28, 28) * 2 - 1)["coverage"] < 0.05


def test_too_few_samples_and_too_little_data_are_refused(scorer: QuickScorer, fashion: Tensor) -> None:
    with pytest.raises(UsageError, match="needs 300 samples, as its floor was made with; 299 came"):
        scorer.score(fashion[:299])
    with pytest.raises(UsageError, match="stub has 10 records for 2000 and 1000"):
        QuickScorer(Stub(fashion[:10]))


def test_small_data_are_divided_in_the_same_proportion() -> None:
    scorer = QuickScorer(open_data("digits"))
    assert (scorer.num_real, scorer.num_fake) == (1198, 599)
    assert "599 real samples as if generated" in scorer.protocol["floor"] and "against 1198 others" in scorer.protocol["floor"]


@pytest.mark.parametrize(("name", "num_modes"), [("ring8", 8), ("grid25", 25)])
def test_mixtures_count_modes(name: str, num_modes: int) -> None:
    data = open_data(name)
    scorer = QuickScorer(data)
    record = scorer.score(data.records(torch.arange(1000))["point"])
    assert scorer.metric == "sliced_wasserstein" and record["protocol"]["num_modes"] == num_modes
    assert record["modes"] == scorer.floor["modes"] == num_modes
    assert record["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.02)
    assert scorer.floor["sliced_wasserstein"] < 0.1
    one = scorer.score(data.records(torch.zeros(1000, dtype=torch.int64))["point"])
    assert one["modes"] <= 1 and one["modes_kl"] == pytest.approx(math.log(num_modes)) and one["sliced_wasserstein"] > 0.3
    json.dumps(scorer.score(torch.full((1000, 2), 99.0)), allow_nan=False)


@pytest.mark.parametrize("name", ["swissroll", "dirac"])
def test_points_without_modes_have_the_sliced_distance_alone(name: str) -> None:
    data = open_data(name)
    record = QuickScorer(data).score(data.records(torch.arange(1000))["point"])
    assert set(record) == {"sliced_wasserstein", "floor", "protocol"}


def test_a_score_takes_about_a_second(fashion: Tensor) -> None:
    scorer = QuickScorer(open_data("fashion"))
    started = time.process_time()
    scorer.score(fashion[:1000])
    assert time.process_time() - started < 10  # a second or two alone on two cores; room for a busy machine


# -- nearest real images -------------------------------------------------------------------------------------------------------------------


def test_nearest_agrees_with_a_plain_search(extract: QuickFeatures, fashion: Tensor) -> None:
    data: Dataset = Stub(fashion[:1100])
    samples = fashion[2000:2006].float().add(20).clamp(0, 255).to(torch.uint8)
    found = nearest_reals(samples, data)
    pixels = (samples.flatten(1)[:, None].double() - fashion[:1100].flatten(1).double()).square().mean(2).sqrt().numpy()
    features = np.linalg.norm(extract(samples)[:, None].astype(float) - extract(fashion[:1100]), axis=2)
    for space, distances in (("pixel", pixels), ("feature", features)):
        np.testing.assert_array_equal(found[f"index_{space}"], distances.argmin(1))
        np.testing.assert_allclose(found[f"distance_{space}"].astype(float), distances.min(1), rtol=1e-3)
        np.testing.assert_array_equal(found[f"nearest_{space}"], fashion.numpy()[distances.argmin(1)])
    assert found["searched"] == 1100 and len(found["usual_pixel"]) == 200


def test_a_real_image_is_not_its_own_neighbour_and_a_copy_is_found(fashion: Tensor) -> None:
    found = nearest_reals(fashion[5:8], Stub(fashion[:300]))
    assert found["index_feature"].tolist() == found["index_pixel"].tolist() == [5, 6, 7]
    assert found["distance_pixel"].max() == 0
    assert (found["usual_pixel"].astype(float) > 0).all() and (found["usual_feature"].astype(float) > 0).all()


def test_copies_are_told_from_new_images_and_jittered_copies_only_in_features(extract: QuickFeatures, fashion: Tensor) -> None:
    train, held_out, fresh = fashion[:800], fashion[800:1200], fashion[1200:1600]
    jittered = train[:400].roll(1, 3)
    flat = {name: x.flatten(1).double() for name, x in (("train", train), ("held_out", held_out), ("fresh", fresh), ("jittered", jittered))}
    assert copy_ratio(flat["train"], flat["held_out"], flat["train"][:400]) == 0
    assert copy_ratio(flat["train"], flat["held_out"], flat["fresh"]) == pytest.approx(1, abs=0.15)
    features = {name: extract(x) for name, x in (("train", train), ("held_out", held_out), ("fresh", fresh), ("jittered", jittered))}
    assert copy_ratio(features["train"], features["held_out"], features["fresh"]) == pytest.approx(1, abs=0.15)
    assert copy_ratio(features["train"], features["held_out"], features["jittered"]) < 0.75
    assert frechet_distance(features["train"], features["train"]) == pytest.approx(0, abs=1e-6)  # which a Frechet distance calls perfect


def test_neighbours_are_written_where_the_report_looks(tmp_path: Path, fashion: Tensor) -> None:
    path = write_nearest(tmp_path, fashion[5:8], Stub(fashion[:50]))
    assert path == tmp_path / "samples" / "nearest.npz" and [file.name for file in path.parent.iterdir()] == ["nearest.npz"]
    with np.load(path) as archive:
        assert {"samples", "nearest_feature", "nearest_pixel", "distance_feature", "distance_pixel"} <= set(archive.files)


def test_samples_of_another_shape_are_refused(fashion: Tensor) -> None:
    with pytest.raises(UsageError, match=r"shape \[1, 28, 28\]; \[3, 32, 32\] came"):
        nearest_reals(torch.zeros(2, 3, 32, 32), Stub(fashion[:50]))
