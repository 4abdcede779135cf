"""Copying, scores by class, probes, Parzen windows and stacked digits: known answers and known failures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.datasets import load_digits

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.classwise import class_frechet, classification_accuracy, wilson
from saddlepoint.evaluation.copying import copy_verdict, copying_statistic, verdict_of_distances
from saddlepoint.evaluation.parzen import parzen_log_likelihood, parzen_window
from saddlepoint.evaluation.probes import few_label_svm, linear_probe, nearest_neighbour_accuracy, pooled_features
from saddlepoint.evaluation.stacked import class_coverage, stacked_coverage


def normal(n: int, d: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d))


def test_copies_are_found_and_new_samples_are_not():
    train, held_out = normal(400, 6, 0), normal(200, 6, 1)
    replayed = copy_verdict(train, held_out, train[:200])
    assert (replayed.verdict, replayed.ratio.value, replayed.suspects) == ("copies", 0.0, 1.0)
    jittered = copy_verdict(train, held_out, train[:200] + 0.05 * normal(200, 6, 2))
    assert jittered.verdict == "copies"
    assert jittered.ratio.high < 0.3
    fresh = copy_verdict(train, held_out, normal(200, 6, 3))
    assert fresh.verdict == "no sign of copying"
    assert fresh.ratio.low < 1 < fresh.ratio.high
    assert copying_statistic(train, held_out, train[:200]) < -5 < -3 < copying_statistic(train, held_out, normal(200, 6, 3))
    assert copying_statistic(train, held_out, normal(200, 6, 3) + 2, cells=1) > 5  # too far from the data: underfitted
    assert copying_statistic(train, held_out, held_out, cells=1) == 0


def test_false_alarms_of_copying_are_as_rare_as_stated():
    train = normal(200, 3, 0)
    scores = np.array([copying_statistic(train, normal(60, 3, 10 + s), normal(60, 3, 1000 + s), cells=1) for s in range(200)])
    assert abs(scores.mean()) < 4 / np.sqrt(200)
    assert scores.std() == pytest.approx(1, abs=0.2)  # four standard errors of a deviation
    assert (scores < norm.ppf(0.05)).mean() < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 200)


def test_copying_refuses_what_cannot_be_judged():
    train = normal(40, 3, 0)
    with pytest.raises(UsageError, match="Remove the duplicates"):
        copy_verdict(train, train[:20], train[:20])
    with pytest.raises(UsageError, match="at least 8 generated"):
        copy_verdict(train, normal(20, 3, 1), train[:3])
    with pytest.raises(UsageError, match="no cell has them"):
        copying_statistic(train, normal(10, 3, 1), normal(10, 3, 2))


def test_a_class_that_is_lost_shows_in_its_own_distance_and_accuracy():
    labels = np.repeat([0, 1, 2], 100)
    real, fake = normal(300, 4, 0) + 5 * labels[:, None], normal(300, 4, 1) + 5 * labels[:, None]
    fake[labels == 2] -= 5  # drawn as class 1
    found = class_frechet(real, labels, fake, labels)
    assert max(found.classes, key=found.classes.get) == 2
    assert found.value == pytest.approx(np.mean(list(found.classes.values())))
    assert found.classes[2] == pytest.approx(100, rel=0.15)

    def nearest_mean(samples: np.ndarray, given: np.ndarray):
        means = np.stack([samples[given == k].mean(0) for k in range(3)])
        return lambda test: torch.from_numpy(-np.square(test[:, None] - means).sum(2))

    accuracy = classification_accuracy(nearest_mean, fake, labels, real, labels)
    assert accuracy.classes[0] == 1.0
    assert accuracy.low < accuracy.value < accuracy.high
    assert classification_accuracy(nearest_mean, real, labels, real, torch.from_numpy(labels)).value > accuracy.value
    with pytest.raises(UsageError, match="Class 2 has 100 real and 0 generated"):
        class_frechet(real, labels, fake[:200], labels[:200])
    assert wilson(0, 10)[0] == 0


def test_probes_rank_digits_above_noise():
    digits = load_digits()
    rows, labels = digits.data / 16, digits.target
    parts = slice(0, 1200), slice(1200, 1400), slice(1400, None)
    svm = few_label_svm(
        *(part for s in parts for part in (rows[s], labels[s])), per_class=10, validation_draws=2, draws=4, penalties=(1e-2, 1e-1, 1.0)
    )
    assert svm.error < 0.25
    assert 0 < svm.spread < 0.1
    assert svm.penalty in (1e-2, 1e-1, 1.0)
    assert linear_probe(rows[:600], labels[:600], rows[1400:], labels[1400:], penalties=(0.01, 1.0)).accuracy > 0.85
    assert nearest_neighbour_accuracy(rows[:600], labels[:600], rows[1400:], labels[1400:]) > 0.9
    noise = normal(1797, 5, 0)
    assert nearest_neighbour_accuracy(noise[:600], labels[:600], noise[1400:], labels[1400:]) < 0.2
    with pytest.raises(UsageError, match="Lower per_class"):
        few_label_svm(*(part for s in parts for part in (rows[s], labels[s])), per_class=1000)


def test_pooled_features_are_maxima_on_a_4_by_4_grid():
    maps = [torch.arange(2 * 3 * 16 * 16.0).view(2, 3, 16, 16), torch.ones(2, 5, 8, 8), torch.zeros(2, 7, 4, 4)]
    found = pooled_features(maps)
    assert found.shape == (2, (3 + 5 + 7) * 16)
    assert found[0, 0] == 3 * 16 + 3
    with pytest.raises(UsageError, match="sides that 4 divides"):
        pooled_features([torch.zeros(1, 1, 6, 6)])


def test_parzen_window_of_a_gaussian_and_the_case_against_it():
    samples, test = normal(300, 2, 0), normal(50, 2, 1)
    by_hand = np.log(np.mean([norm.pdf(test[:, :1], s[:1], 0.5)[:, 0] * norm.pdf(test[:, 1:], s[1:], 0.5)[:, 0] for s in samples], axis=0))
    np.testing.assert_allclose(parzen_log_likelihood(samples, test, 0.5), by_hand, rtol=1e-9)
    found = parzen_window(samples, normal(100, 2, 2), test)
    assert 0.1 < found.sigma < 1
    assert found.value == pytest.approx(-1 - np.log(2 * np.pi), abs=0.3)
    assert "Theis" in found.warning
    d = 40  # Theis et al.: a single point at the mean beats as many samples of the true distribution
    truth, collapsed = normal(200, d, 3), np.zeros((200, d))
    scores = [parzen_window(model, normal(50, d, 4), normal(100, d, 5), np.logspace(-1, 0.5, 10)).value for model in (truth, collapsed)]
    assert scores[1] > scores[0]


def test_stacked_digits_have_a_thousand_modes():
    images = np.random.default_rng(0).integers(10, size=(26_000, 3, 1, 1)) * np.ones((4, 4), np.uint8)
    found = stacked_coverage(images, lambda x: x[:, 0, 0, 0].astype(int))
    assert found.modes == 1000
    assert found.kl == pytest.approx(999 / 52_000, rel=0.3)
    collapsed = stacked_coverage(images[:1].repeat(30, axis=0), lambda x: torch.nn.functional.one_hot(torch.from_numpy(x[:, 0, 0, 0]).long(), 10))
    assert (collapsed.modes, collapsed.kl) == (1, pytest.approx(np.log(1000)))
    assert class_coverage(np.array([0, 1, 1]), 2, np.array([1, 2])).kl == 0
    with pytest.raises(UsageError, match="Labels lie in"):
        class_coverage(np.array([3]), 3)


def test_verdicts_accuse_honest_generators_as_rarely_as_stated_and_find_a_few_copies():
    rng = np.random.default_rng(0)
    verdicts = [verdict_of_distances(rng.gamma(4, size=200), rng.gamma(4, size=200), alpha=0.1) for _ in range(100)]
    accused = np.mean([said.verdict != "no sign of copying" for said in verdicts])
    assert accused < 0.1 + 3 * np.sqrt(0.1 * 0.9 / 100)
    assert np.mean([said.suspects for said in verdicts]) == pytest.approx(0.01, abs=0.005)
    usual, far = rng.gamma(4, size=500), 1.3 * rng.gamma(4, size=500)
    far[:25] *= 0.02  # one in twenty is a copy, the others lie further out than real samples
    assert verdict_of_distances(usual, far).verdict == "some copies"
    with pytest.raises(UsageError, match="rate of false alarms lies between 0 and 1"):
        verdict_of_distances(usual, far, alpha=1)
