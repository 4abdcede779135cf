"""Sequence metrics: against hand-checked values, against NLTK and sacrebleu, and against what each is meant to notice."""

from __future__ import annotations

import math

import numpy as np
import pytest

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.bleu import bleu, bleu_scores, corpus_bleu, self_bleu, sentence_bleu
from saddlepoint.evaluation.sequences import (
    log_probabilities,
    ngram_jensen_shannon,
    nll_oracle,
    nll_test,
    perplexity,
    pitch_error,
    sequence_scores,
    token_nll,
)

VOCABULARY = 12


def markov(num: int, seed: int, sharpness: float = 2.0, length: int = 12) -> list[list[int]]:
    """Sequences of one fixed Markov chain; less sharp is nearer to uniform noise."""
    chain = np.random.default_rng(0).normal(size=(VOCABULARY, VOCABULARY)) * sharpness
    transitions = np.exp(chain) / np.exp(chain).sum(1, keepdims=True)
    rng = np.random.default_rng(seed)
    sequences = []
    for _ in range(num):
        tokens = [int(rng.integers(VOCABULARY))]
        while len(tokens) < length + int(seed % 3):
            tokens.append(int(rng.choice(VOCABULARY, p=transitions[tokens[-1]])))
        sequences.append(tokens)
    return sequences


def scorer(sharpness: float = 2.0):
    chain = np.random.default_rng(0).normal(size=(VOCABULARY, VOCABULARY)) * sharpness
    log_transitions = chain - np.log(np.exp(chain).sum(1, keepdims=True))
    return lambda sequences: [[-math.log(VOCABULARY), *(log_transitions[a, b] for a, b in zip(row, row[1:], strict=False))] for row in sequences]


def words(sequences: list[list[int]]) -> list[list[str]]:
    return [[f"w{token}" for token in sequence] for sequence in sequences]


# -- BLEU ----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_bleu_agrees_with_nltk(order):
    translate = pytest.importorskip("nltk.translate.bleu_score")
    real, fake = markov(40, seed=1), [*markov(15, seed=2), [3, 3], [1], [99, 98, 97, 96]]
    method, weights = translate.SmoothingFunction().method1, (1 / order,) * order
    expected = [translate.sentence_bleu(words(real), sequence, weights=weights, smoothing_function=method) for sequence in words(fake)]
    assert bleu_scores(words(real), words(fake), order) == pytest.approx(expected, rel=1e-12, abs=1e-300)
    assert bleu(real, fake, order) == pytest.approx(np.mean(expected), rel=1e-12)
    lists = [words(real)[i : i + 3] for i in range(len(fake))]
    pooled = translate.corpus_bleu(lists, words(fake), weights=weights, smoothing_function=method)
    assert corpus_bleu(lists, words(fake), order) == pytest.approx(pooled, rel=1e-12)


@pytest.mark.parametrize("order", [2, 4])
def test_bleu_agrees_with_sacrebleu(order):
    sacrebleu = pytest.importorskip("sacrebleu.metrics")
    real, fake = words(markov(20, seed=1)), words(markov(20, seed=3))
    metric = sacrebleu.BLEU(tokenize="none", smooth_method="floor", smooth_value=0.1, max_ngram_order=order, force=True)
    theirs = metric.corpus_score([" ".join(row) for row in fake], [[" ".join(row) for row in real]]).score / 100
    assert corpus_bleu([[row] for row in real], fake, order) == pytest.approx(theirs, rel=1e-12)
    effective = sacrebleu.BLEU(tokenize="none", smooth_method="floor", smooth_value=0.1, max_ngram_order=order, effective_order=False)
    texts = [" ".join(row) for row in real]
    theirs = [effective.sentence_score(" ".join(row), texts).score / 100 for row in fake]
    assert bleu_scores(real, fake, order) == pytest.approx(theirs, rel=1e-12)


def test_bleu_by_hand():
    reference, sequence = ["a", "b", "c", "d"], ["a", "b", "x"]
    assert sentence_bleu([reference], sequence, order=1) == pytest.approx(2 / 3 * math.exp(1 - 4 / 3))  # two of three words, one too short
    assert sentence_bleu([reference], sequence, order=3) == pytest.approx((2 / 3 * 1 / 2 * 0.1 / 1) ** (1 / 3) * math.exp(-1 / 3))  # smoothed
    assert sentence_bleu([reference, ["a", "a"]], ["a", "a", "a"], order=1) == pytest.approx(2 / 3)  # clipped; the shorter reference is nearer
    assert sentence_bleu([reference], ["x", "y"], order=2) == 0.0
    assert sentence_bleu([reference], reference, order=4) == 1.0


def test_bleu_sees_quality_and_not_variety():
    real = markov(60, seed=1)
    collapsed, noise = [real[0]] * 30, markov(30, seed=2, sharpness=0.0)
    assert bleu(real, collapsed, 3) == 1.0
    assert bleu(real, markov(30, seed=2), 3) > bleu(real, noise, 3) + 0.1
    assert bleu(collapsed, real, 3) < 0.5  # the other way round it is another question


@pytest.mark.parametrize("order", [2, 4])
def test_self_bleu_leaves_each_sequence_out(order):
    fake = markov(25, seed=4)
    naive = np.mean([sentence_bleu(fake[:i] + fake[i + 1 :], row, order) for i, row in enumerate(fake)])
    assert self_bleu(fake, order) == pytest.approx(naive, rel=1e-12)


def test_self_bleu_sees_variety_and_its_sample_is_fixed():
    fake = markov(80, seed=4)
    assert self_bleu([fake[0]] * 20) == 1.0
    assert self_bleu(fake[:10] * 8, 3) == 1.0 > self_bleu(fake, 3) + 0.05
    assert self_bleu(fake, 2, sample=20, seed=1) == self_bleu(fake, 2, sample=20, seed=1) != self_bleu(fake, 2, sample=20, seed=2)
    assert self_bleu(fake, 2, sample=20) < self_bleu(fake, 2, sample=80)  # grows with the number of sequences, so the protocol states it


# -- n-grams -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_ngram_divergence_against_its_formula(order):
    real, fake = markov(30, seed=1), markov(20, seed=2, sharpness=1.0)
    grams = lambda rows: [tuple(row[i : i + order]) for row in rows for i in range(len(row) - order + 1)]  # noqa: E731
    keys = sorted(set(grams(real)) | set(grams(fake)))
    index = {key: i for i, key in enumerate(keys)}
    p, q = (np.bincount([index[g] for g in grams(rows)], minlength=len(keys)) for rows in (real, fake))
    p, q = p / p.sum(), q / q.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        kl = lambda a, b: np.nansum(a * np.log2(a / b))  # noqa: E731
        expected = 0.5 * kl(p, (p + q) / 2) + 0.5 * kl(q, (p + q) / 2)
    assert ngram_jensen_shannon(real, fake, order) == pytest.approx(expected, rel=1e-10)
    assert ngram_jensen_shannon(fake, real, order) == pytest.approx(expected, rel=1e-10)
    assert ngram_jensen_shannon(words(real), words(fake), order) == pytest.approx(expected, rel=1e-10)


def test_ngram_divergence_between_its_ends():
    assert ngram_jensen_shannon([[1, 2]], [[1, 2], [1, 2]], 2) == 0.0
    assert ngram_jensen_shannon([[1, 2]], [[3, 4]], 1) == 1.0
    real = markov(200, seed=1)
    values = [ngram_jensen_shannon(real, markov(200, seed=2, sharpness=s), 2) for s in (2.0, 1.5, 1.0, 0.5, 0.0)]
    assert values == sorted(values)  # rises with the corruption


# -- likelihoods ---------------------------------------------------------------------------------------------------------------------------


def test_likelihoods_by_hand():
    rows = [np.log([0.5, 0.25]), np.log([0.125])]
    assert token_nll(rows) == pytest.approx(2 * math.log(2))
    assert perplexity(rows) == pytest.approx(4.0)
    assert perplexity(rows, per="sequence") == pytest.approx((math.sqrt(8) + 8) / 2)
    assert perplexity([np.log(np.full(9, 1 / 7))]) == pytest.approx(7.0)


def test_oracle_and_test_likelihoods_notice_opposite_faults():
    real = markov(100, seed=1)
    peak, flat = scorer(6.0), scorer(0.0)
    modes = markov(100, seed=1, sharpness=6.0)  # keeps to the likeliest tokens
    assert nll_oracle(scorer(), modes) < nll_oracle(scorer(), real) < nll_oracle(scorer(), markov(100, seed=1, sharpness=0.0))
    assert nll_test(real, scorer()) < min(nll_test(real, peak), nll_test(real, flat))
    assert nll_test(real, flat) == pytest.approx(math.log(VOCABULARY))


def test_pitch_error_by_hand():
    assert pitch_error([[60, 62], [64]], [[60, 64], [65]]) == pytest.approx((0 + 4 + 1) / 3)


# -- all together --------------------------------------------------------------------------------------------------------------------------


def test_scores_carry_floor_uncertainty_and_protocol():
    real = markov(120, seed=1)
    scores = sequence_scores(real, markov(50, seed=2, sharpness=0.5), orders=(2, 3), sample=30, seed=3, oracle=scorer(), model=scorer(0.5))
    assert {"bleu_2", "bleu_3", "self_bleu_3", "ngram_js_1", "ngram_js_3", "nll_oracle", "nll_test", "perplexity_test"} <= set(scores)
    assert scores["ngram_js_2"] > scores["floor"]["ngram_js_2"] > 0
    assert scores["bleu_2"] + 4 * scores["standard_error"]["bleu_2"] < scores["floor"]["bleu_2"]
    assert scores["nll_oracle"] > scores["floor"]["nll_oracle"]
    protocol = scores["protocol"]
    assert (protocol["num_real"], protocol["num_fake"], protocol["self_bleu"]["sequences"]) == (120, 50, 30)
    assert protocol["floor"] == {"num_real": 60, "num_fake": 50}
    again = sequence_scores(real, markov(50, seed=2, sharpness=0.5), orders=(2, 3), sample=30, seed=3, oracle=scorer(), model=scorer(0.5))
    assert again == scores


# -- refusals ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bleu([[1]], [[1], []]), "generated sequences of at least one token; 1 of 2 are empty, first number 1"),
        (lambda: bleu([], [[1]]), "at least one real sequence; none came"),
        (lambda: bleu([[1]], ["the cat"]), "text came"),
        (lambda: sentence_bleu([[1]], [1], order=0), "order 0 came"),
        (lambda: corpus_bleu([[[1]]], [[1], [2]]), "1 lists came for 2"),
        (lambda: self_bleu([[1, 2]]), "at least 2; 1 came"),
        (lambda: ngram_jensen_shannon([[1, 2]], [[1]], 2), "no generated sequence is so long"),
        (lambda: token_nll([]), "an empty one came"),
        (lambda: token_nll([[0.5]]), "a NaN or a larger number came"),
        (lambda: log_probabilities(lambda rows: [[-1.0, -1.0]], [[4]]), "1 sequences of 1 tokens got 2 numbers"),
        (lambda: pitch_error([[1, 2]], [[1]]), "pairs of equal length"),
        (lambda: sequence_scores([[1]] * 3, [[1]] * 3), "at least 4 real sequences"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_line(call, message):
    with pytest.raises(UsageError, match=message) as refused:
        call()
    assert "\n" not in str(refused.value)
