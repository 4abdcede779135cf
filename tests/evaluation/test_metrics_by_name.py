"""Metrics that need more than two sets of samples, by name: planted copies, lost classes, dropped objects, what each says when it lacks something."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import saddlepoint
from saddlepoint.cli.main import main
from saddlepoint.data.sources import open_data
from saddlepoint.errors import UsageError
from saddlepoint.evaluation import scoring, scoring_pairs, trainee
from saddlepoint.evaluation.case import Extras
from saddlepoint.evaluation.engine import evaluate
from saddlepoint.evaluation.extractors import open_extractor
from saddlepoint.evaluation.parzen import parzen_window
from saddlepoint.evaluation.probes import pooled_features
from saddlepoint.evaluation.scoring_probes import discriminator_features
from saddlepoint.evaluation.sets import Classes, SampleSet, of_data, of_function, with_classes_of
from saddlepoint.networks.dcgan import DCGANDiscriminator


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SADDLEPOINT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def part(start: int, stop: int, data: str = "fashion") -> SampleSet:
    return of_data(open_data(data), torch.arange(start, stop))


def normal(num: int, seed: int, shift: float = 0.0) -> SampleSet:
    return of_function(lambda n, rng: torch.randn(n, 3, generator=rng) + shift, num, name="normal", seed=seed)


# -- copies --------------------------------------------------------------------------------------------------------------------------------


def copying(fake: SampleSet, unseen: SampleSet, training: SampleSet) -> dict:
    return evaluate(training, None, fake, metrics=["copying"], extractor=open_extractor("quick"), extras=Extras(training=training, unseen=unseen))


def test_a_generator_that_replays_its_training_set_is_found_out() -> None:
    training, unseen = part(0, 600), part(600, 900)
    result = copying(part(100, 400), unseen, training)
    assert result["details"]["copying"]["features"]["verdict"] == result["details"]["copying"]["pixels"]["verdict"] == "copies"
    assert result["scores"]["copy_ratio"]["value"] == 0 and result["scores"]["copy_suspects_pixels"]["value"] == 1
    assert result["scores"]["copy_statistic"]["value"] < -5
    assert sum("copies (p = " in note for note in result["notes"]) == 2


def test_jitter_hides_a_copy_from_pixels_only() -> None:
    training, unseen = part(0, 600), part(600, 900)

    def read(start: int, stop: int) -> Tensor:
        images = part(100, 400).read(start, stop).float()
        noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(start))
        return (images.roll(1, 3) * 0.7 + 50 + 4 * noise).clamp(0, 255).to(torch.uint8)

    darker = replace(part(100, 400), read=read, content_hash="")
    assert copying(darker, unseen, training)["details"]["copying"]["pixels"]["verdict"] == "no sign of copying"


def test_new_samples_are_not_accused_and_a_few_copies_are() -> None:
    training, unseen = normal(1500, 0), normal(800, 1)
    fresh = evaluate(training, None, normal(800, 2), metrics=["copying"], extractor=None, extras=Extras(training=training, unseen=unseen))
    assert fresh["details"]["copying"]["verdict"]["verdict"] == "no sign of copying"
    assert fresh["scores"]["copy_ratio"]["value"] == pytest.approx(1, abs=0.1) and fresh["scores"]["copy_ratio"]["floor"] == 1.0

    def mostly_far(start: int, stop: int) -> Tensor:
        rows = normal(800, 3, shift=3.0).read(start, stop)
        rows[:20] = training.read(0, 20)
        return rows

    few = evaluate(
        training, None, replace(normal(800, 3), read=mostly_far), metrics=["copying"], extractor=None, extras=Extras(training=training, unseen=unseen)
    )
    assert few["details"]["copying"]["verdict"]["verdict"] == "some copies"
    assert few["scores"]["copy_suspects"]["value"] > 0.02


def test_copying_from_the_command_line(capsys) -> None:
    with pytest.raises(UsageError, match="Name them with --held-out, such as fashion:test"):
        saddlepoint.evaluate("fashion:test", against="fashion:train", metrics="copying", num=50)
    with pytest.raises(UsageError, match="fashion:train is the training data itself"):
        saddlepoint.evaluate("fashion:test", against="fashion:train", metrics="copying", num=50, held_out="fashion:train")
    command = ["evaluate", "digits:train", "--against", "digits:train", "--metrics", "copying", "--held-out", "digits:test", "--num", "60"]
    assert main(command) == 0
    shown = capsys.readouterr()
    assert "copy_ratio: 0 +- 0 (floor 1)" in shown.out and "note: copying, in pixels: copies (p = " in shown.out
    assert "copying compares 120 samples with all 1,617 training samples" in shown.err


# -- classes -------------------------------------------------------------------------------------------------------------------------------


def few_steps(monkeypatch, steps: int) -> None:
    for name, value in (("LEAST_STEPS", steps), ("MOST_STEPS", steps), ("BATCH", 24)):
        monkeypatch.setattr(trainee, name, value)


def test_a_classifier_trained_on_wrong_labels_is_worse(monkeypatch) -> None:
    few_steps(monkeypatch, 40)
    real, held, fake = part(0, 300, "digits"), part(300, 500, "digits"), part(500, 700, "digits")

    def labels(start: int, stop: int) -> Tensor:
        assert fake.labels is not None
        own = fake.labels(start, stop)
        return torch.where(own == 3, torch.full_like(own, 5), own)

    told: list[str] = []
    wrong = replace(fake, labels=labels)
    result = evaluate(real, held, wrong, metrics=["cas"], extractor=open_extractor("quick"), tell=told.append)
    score = result["scores"]["cas"]
    assert score["floor"] > 0.6 and 0.5 < score["value"] < score["floor"] and 0 < score["error"] < 0.1
    assert result["details"]["cas"]["3"] == 0.0
    assert any("cas trains classifiers on 200 images" in line for line in told)


def test_the_classifier_depends_on_its_seed_alone(monkeypatch) -> None:
    few_steps(monkeypatch, 4)
    records = open_data("digits").records(torch.arange(64))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    answers = [trainee.train_classifier(records["image"], records["label"].numpy(), 10, seed=seed)(records["image"]) for seed in (0, 0)]
    assert np.array_equal(*answers) and torch.equal(before, torch.get_rng_state())


def test_distances_by_class_are_the_same_held_or_streamed(monkeypatch) -> None:
    real, fake, extractor = part(0, 400), part(400, 800), open_extractor("quick")
    held = evaluate(real, None, fake, metrics=["class-fd"], extractor=extractor)
    monkeypatch.setattr(scoring, "BYTES", 0)
    streamed = evaluate(real, None, fake, metrics=["class-fd"], extractor=extractor)
    assert streamed["scores"]["class_fd"]["value"] == pytest.approx(held["scores"]["class_fd"]["value"], rel=1e-7)
    assert held["scores"]["class_fd"]["error"] > 0 and streamed["scores"]["class_fd"]["error"] is None
    assert set(held["details"]["class-fd"]) == set(open_data("fashion").spec.class_names)


def test_classes_of_a_folder_are_matched_by_name() -> None:
    real = replace(part(0, 50), class_names=("a", "b", "c"), labels=lambda start, stop: torch.arange(start, stop) % 3)
    fake = replace(real, name="folder", class_names=("c", "a"), labels=lambda start, stop: torch.arange(start, stop) % 2)
    matched = with_classes_of(fake, real)
    assert matched.labels is not None and matched.labels(0, 4).tolist() == [2, 0, 2, 0]
    assert with_classes_of(real, real) is real
    with pytest.raises(UsageError, match="has the class 'b', which folder does not have"):
        with_classes_of(real, fake)


def test_classes_in_proportion_have_no_gaps() -> None:
    classes = Classes((50, 30, 20))
    for start in (0, 512, 5120):
        counts = classes.labels(start, start + 100).bincount(minlength=3)
        assert (counts - torch.tensor([50, 30, 20])).abs().max() <= 2
    assert torch.equal(classes.labels(0, 700)[512:], classes.labels(512, 700))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A conditional run that was hardly trained."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    saddlepoint.train("projection", data="digits:train", preset="small", out=folder, steps=1, batch=8)
    return folder


def test_a_conditional_run_is_asked_for_the_classes_of_its_data(run) -> None:
    result = saddlepoint.evaluate(run, metrics="class-fd,fd", num=200)
    assert len(result["details"]["class-fd"]) == 10 and result["scores"]["class_fd"]["error"] > 0
    assert result["protocol"]["classes"] == "in the proportions of the real data" and len(result["protocol"]["samples_hash"]) == 64
    again = saddlepoint.evaluate(run, metrics="fd", num=200)
    assert again["scores"]["fd"] == result["scores"]["fd"]
    truncated = saddlepoint.evaluate(run, metrics="fd", num=200, truncation=0.5)
    assert truncated["protocol"]["truncation"] == 0.5 and truncated["scores"]["fd"]["value"] != result["scores"]["fd"]["value"]
    assert truncated["protocol"]["samples_hash"] != result["protocol"]["samples_hash"]


def test_path_lengths_and_diversity_of_a_run(run, monkeypatch) -> None:
    monkeypatch.setattr(scoring_pairs, "PAIRS", 200)
    result = saddlepoint.evaluate(run, metrics="ppl-zfull,ppl-zend,diversity", num=40)
    scores = result["scores"]
    assert scores["ppl_zfull"]["floor"] is None and scores["ppl_zfull"]["value"] > 0 and scores["ppl_zfull"]["error"] > 0
    assert scores["diversity"]["floor"] > 0 and scores["diversity"]["error"] > 0
    assert result["protocol"]["distance"] == "quick" and result["details"]["ppl-zend"]["between"] == "slerp"
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    with pytest.raises(UsageError, match="A path in w needs a generator with styles"):
        saddlepoint.evaluate(run, metrics="ppl-wfull", num=10)
    with pytest.raises(UsageError, match="metric lpips is by the distance lpips; quick came"):
        saddlepoint.evaluate(run, metrics="lpips", distance="quick", num=10)


def test_an_evaluation_of_a_round_after_the_last_checkpoint_is_not_shown(run, tmp_path) -> None:
    result = saddlepoint.evaluate(run, metrics="fd", num=50)
    (tmp_path / "other.json").write_text(json.dumps(result))
    with (run / "evaluations.jsonl").open("a") as file:
        file.write(json.dumps(result | {"round": 99}) + "\n")
    rows = saddlepoint.compare(run, tmp_path / "other.json")["rows"]
    assert rows[0]["kind"] == "evaluation" and rows[0]["round"] == 1


def test_what_only_a_run_has_is_named() -> None:
    for metric in ("ppl-zfull", "ppl-wend-crop"):
        with pytest.raises(UsageError, match=f"The metric {metric} needs a run whose generator has latents"):
            saddlepoint.evaluate("fashion:test", against="fashion:train", metrics=metric, num=20)
    with pytest.raises(UsageError, match="Truncation is of a run's latents"):
        saddlepoint.evaluate("fashion:test", against="fashion:train", metrics="fd", num=20, truncation=0.5)


# -- Parzen windows, modes, segmenters -----------------------------------------------------------------------------------------------------


def test_parzen_windows_are_their_function_with_a_warning() -> None:
    real, fake = part(0, 300, "digits"), part(300, 500, "digits")
    result = evaluate(real, None, fake, metrics=["parzen"], extractor=open_extractor("quick"))
    rows, samples = real.read(0, 300).flatten(1).double() / 255, fake.read(0, 200).flatten(1).double() / 255
    expected = parzen_window(samples, rows[:30], rows[30:])
    assert result["scores"]["parzen"]["value"] == pytest.approx(expected.value, rel=1e-4)  # features are float32
    assert result["scores"]["parzen"]["error"] > expected.error and result["details"]["parzen"]["sigma"] == expected.sigma
    assert any("Theis" in note for note in result["notes"])


def test_modes_of_a_mixture_and_of_no_mixture() -> None:
    result = saddlepoint.evaluate("ring8:test", against="ring8:train", metrics="modes", num=500)
    assert result["scores"]["modes"]["value"] == 8 and result["scores"]["high_quality"]["value"] == pytest.approx(0.989, abs=0.02)
    assert result["scores"]["modes_kl"]["better"] == "lower" and result["scores"]["high_quality"]["error"] > 0
    with pytest.raises(UsageError, match="modes of normal are not known"):
        evaluate(normal(50, 0), None, normal(50, 1), metrics=["modes"], extractor=None)


def test_stacked_digits_are_counted_and_a_lost_digit_shows(tmp_path) -> None:
    digits = open_data("digits").records(torch.arange(600))
    kept = digits["image"][digits["label"] != 7]
    rng = torch.Generator().manual_seed(0)
    for name, source in (("all", digits["image"]), ("lost", kept)):
        chosen = torch.randint(len(source), (400, 3), generator=rng)
        np.save(tmp_path / f"{name}.npy", torch.cat([source[chosen[:, i]] for i in range(3)], dim=1).numpy())
    found = {}
    for name in ("all", "lost"):
        against = str(tmp_path / "all.npy")
        found[name] = saddlepoint.evaluate(tmp_path / f"{name}.npy", against=against, metrics="stacked-modes", num=200, extractor="quick:digits")
    modes = {name: result["scores"]["stacked_modes"]["value"] for name, result in found.items()}
    expected = 1000 * (1 - 0.999**200)
    assert modes["all"] == pytest.approx(expected, abs=25) and modes["lost"] < modes["all"]
    assert found["lost"]["scores"]["stacked_kl"]["value"] > found["lost"]["scores"]["stacked_kl"]["floor"]
    with pytest.raises(UsageError, match="stacked-modes needs images of 3 channels"):
        saddlepoint.evaluate("digits", against="digits", metrics="stacked-modes", num=50, extractor="quick:digits")


SEGMENTERS = """
import torch

class Levels(torch.nn.Module):
    classes = ("dark", "middle", "light")
    def forward(self, images):                                     # scores: nearest of three grey levels
        levels = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1)
        return -(images.mean(1, keepdim=True) - levels).abs()

def labels(images):
    return (images.mean(1) > 0).long()

def numbered(images):
    return (images.mean(1) > 0).long()
numbered.num_classes = 2

def wrong(images):
    return images.mean(1)
wrong.num_classes = 2
"""


def test_a_dropped_object_is_named_by_a_segmenter(tmp_path, monkeypatch) -> None:
    (tmp_path / "scenes_mine.py").write_text(SEGMENTERS)
    monkeypatch.chdir(tmp_path)
    scenes = np.random.default_rng(0).choice(np.array([0, 128, 255], np.uint8), (200, 1, 8, 8))
    np.save(tmp_path / "real.npy", scenes)
    np.save(tmp_path / "fake.npy", np.where(scenes == 255, 0, scenes))
    given = {"against": str(tmp_path / "real.npy"), "metrics": "fsd", "num": 90}
    result = saddlepoint.evaluate(tmp_path / "fake.npy", segmenter="scenes_mine:Levels", **given)
    score = result["scores"]["fsd"]
    assert score["value"] > 20 * score["floor"] and 0 < score["error"] < score["value"]
    assert next(iter(result["details"]["fsd"].items())) == ("light", -1.0)
    assert any("most left out first: light -100 %" in note for note in result["notes"])
    assert result["protocol"]["segmenter"] == "scenes_mine:Levels" and result["protocol"]["segmenter_hash"]
    assert saddlepoint.evaluate(tmp_path / "fake.npy", segmenter="scenes_mine:numbered", **given)["scores"]["fsd"]["value"] > 0
    for name, message in (
        ("scenes_mine:labels", "must say how many classes"),
        ("scenes_mine:wrong", r"must give scores \[n, 2, h, w\] or integer labels"),
        ("levels", "your own network or function, written module:attribute"),
        (None, "Name yours with --segmenter"),
    ):
        with pytest.raises(UsageError, match=message):
            saddlepoint.evaluate(tmp_path / "fake.npy", segmenter=name, **given)


def test_every_dear_metric_says_its_cost_first(monkeypatch) -> None:
    monkeypatch.setattr(scoring_pairs, "PAIRS", 50)
    monkeypatch.setattr(scoring_pairs, "PATCHES", 4)
    told: list[str] = []
    evaluate(part(0, 60), None, part(60, 120), metrics=["ms-ssim", "swd", "parzen", "kid"], extractor=open_extractor("quick"), tell=told.append)
    for words in ("ms-ssim filters 10,000 pairs", "swd sorts 512 projections", "parzen compares 60 generated", "kid averages 100 subsets"):
        assert any(line.startswith(words) for line in told), words


def test_few_samples_of_every_biased_distance_are_noted() -> None:
    notes = evaluate(part(0, 200), None, part(200, 400), metrics=["fd", "class-fd"], extractor=open_extractor("quick"))["notes"]
    assert any(note.startswith("fd, class-fd: 200 samples a side are few") and "prefer kid" in note for note in notes)


# -- probes --------------------------------------------------------------------------------------------------------------------------------


def test_probes_of_an_extractor_against_pixels() -> None:
    result = saddlepoint.evaluate("digits:test", against="digits:train", metrics="probe,1nn,svm", num=50, num_real=500, extractor="quick")
    scores, details = result["scores"], result["details"]
    assert scores["1nn"]["value"] > 0.9 and scores["probe"]["value"] > 0.9 and 0 <= scores["svm_error"]["value"] < 0.2
    assert 0 < details["probe"]["pixels"] < 1 and 0 < details["svm"]["pixels"] < 0.5 and details["svm"]["labels_a_class"] <= 100
    assert all(score["floor"] is None and score["error"] >= 0 for score in scores.values())
    assert scores["1nn"]["error"] > 0 < scores["probe"]["error"]  # though all may be right
    with pytest.raises(UsageError, match="1nn needs real samples of every class to learn from; 12 came"):
        saddlepoint.evaluate("digits:test", against="digits:train", metrics="1nn", num=20, num_real=12)


def test_a_discriminator_is_an_extractor(run) -> None:
    result = saddlepoint.evaluate(run, metrics="1nn,fd", num=100, num_real=200, extractor="discriminator")
    assert result["protocol"]["extractor"] == "discriminator" and result["protocol"]["dimension"] % 16 == 0
    assert result["scores"]["1nn"]["value"] > 0.5
    with pytest.raises(UsageError, match="The extractor discriminator is that of a run"):
        saddlepoint.evaluate("digits", against="digits", metrics="fd", num=20, extractor="discriminator")


def test_dcgan_features_are_the_pooled_activations_of_its_layers() -> None:
    game = nn.Module()
    game.discriminator, game.num_classes = DCGANDiscriminator((3, 32, 32), width=4), None
    extractor = discriminator_features(game, (3, 32, 32))
    assert extractor.dimension == 16 * (4 + 8 + 16)  # maps of 16, 8 and 4 pixels
    images = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    x, maps = images / 127.5 - 1, []
    with torch.no_grad():
        for level in game.discriminator.levels:
            x = level(x)
            maps.append(x.clone())
    assert torch.allclose(extractor(images)["features"], pooled_features(maps), atol=1e-6)


# -- errors --------------------------------------------------------------------------------------------------------------------------------


def test_errors_of_metrics_by_neighbours_are_their_spread_or_a_little_more() -> None:
    values, errors = [], []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        real, fake = rng.normal(size=(200, 4)).astype(np.float32), (1.2 * rng.normal(size=(200, 4))).astype(np.float32)
        values.append(scoring.precision_and_recall(real, fake))
        errors.append(scoring.two_sided(scoring.precision_and_recall, real, fake))
    for name in ("precision", "recall"):
        spread = np.std([value[name] for value in values], ddof=1)
        assert 0.7 < np.mean([error[name] for error in errors]) / spread < 2.2, name
