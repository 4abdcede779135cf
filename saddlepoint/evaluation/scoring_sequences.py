"""How the engine scores sequences by name, in the form of all its other scores: value, error, floor, notes and protocol.

Axes: n sequences, t tokens, g groups.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from saddlepoint.errors import UsageError, nearest
from saddlepoint.evaluation.bleu import SELF_BLEU_SAMPLE, Gram, Tokens, choose, ngrams, self_bleu_scores
from saddlepoint.evaluation.scoring import GROUPS, jackknife
from saddlepoint.evaluation.sequences import divergence_of_counts, sequence_scores

Better = Literal["lower", "higher", "none"]
Sums = tuple[NDArray[np.float64], NDArray[np.float64]]  # log p of each sequence, and how many tokens it is of, an end included; [n] each
LogSums = Callable[[Sequence[Tokens]], Sums]
ORDERS = (2, 3, 4)

SEQUENCE_METRICS: dict[str, tuple[str, Better, str]] = {
    "bleu": ("bleu_", "higher", "mean BLEU-2, -3 and -4 of generated sequences against all real ones, smoothing method 1; blind to repetition"),
    "self-bleu": ("self_bleu_", "none", "the same of 500 generated sequences against one another: compare with the floor, real ones' own"),
    "ngram-js": ("ngram_js_", "lower", "Jensen-Shannon divergence of the n-grams, n = 1 to 4, in bits"),
    "nll-oracle": ("nll_oracle", "lower", "nats a token of generated sequences by the distribution the data come from; falls when modes are dropped"),
    "nll-test": ("nll_test", "lower", "nats a token of real sequences by the run's generator: name held-out ones with --against"),
    "perplexity": ("perplexity", "lower", "the same as a number of choices"),
}  #: prefix of its scores, which direction is better, what it is


def choose_sequence_metrics(names: Sequence[str] | None, *, oracle: bool, model: bool) -> list[str]:
    """Metrics by name, each once; None: all that there is an oracle or a model for.

    Raises:
        UsageError: for an unknown name, or one that needs what is not there.
    """
    able = {"nll-oracle": oracle, "nll-test": model, "perplexity": model}
    if names is None:
        return [name for name in SEQUENCE_METRICS if able.get(name, True)]
    for name in names:
        if name not in SEQUENCE_METRICS:
            known = ", ".join(SEQUENCE_METRICS)
            raise UsageError(f"Sequences have no metric {name!r}. {nearest(name, SEQUENCE_METRICS)} All: {known}.")
        if not able.get(name, True):
            lacks = "data whose distribution is known, such as an oracle's" if name == "nll-oracle" else "a run: a file of samples has no likelihoods"
            raise UsageError(f"The metric {name} needs {lacks}. Leave it out.")
    return [*dict.fromkeys(names)]


def score_sequences(
    real: Sequence[Tokens],
    fake: Sequence[Tokens],
    *,
    metrics: Sequence[str],
    seed: int = 0,
    oracle: LogSums | None = None,
    model: LogSums | None = None,
) -> dict[str, Any]:
    """Score generated sequences against real ones.

    Args:
        real: corpus, at least four sequences.
        fake: generated ones, at least two.
        metrics: as :func:`choose_sequence_metrics` gives them.
        seed: of the floor's halves and of the sequences that self-BLEU compares.
        oracle: log p of sequences by the true distribution.
        model: log p of sequences by the generator.
    Returns:
        As :func:`saddlepoint.evaluation.engine.evaluate`.
    """
    scores: dict[str, dict[str, Any]] = {}
    found: dict[str, Any] = {}
    if {"bleu", "self-bleu", "ngram-js"} & {*metrics}:
        found = sequence_scores(real, fake, orders=ORDERS, seed=seed)
    for name in metrics:
        prefix, better, _ = SEQUENCE_METRICS[name]
        for score in [key for key in found if key.startswith(prefix)]:
            error = _error(score, real, fake, found["standard_error"], seed)
            scores[score] = {"value": found[score], "error": error, "floor": found["floor"][score], "better": better}
    if "nll-oracle" in metrics and oracle is not None:
        (value, error), (floor, _) = token_nll_of_sums(*oracle(fake)), token_nll_of_sums(*oracle(real))
        scores["nll_oracle"] = {"value": value, "error": error, "floor": floor, "better": "lower"}
    if {"nll-test", "perplexity"} & {*metrics} and model is not None:
        value, error = token_nll_of_sums(*model(real))
        both = {"nll-test": ("nll_test", value, error), "perplexity": ("perplexity", math.exp(value), math.exp(value) * error)}
        for name in [name for name in metrics if name in both]:
            score, value, error = both[name]
            scores[score] = {"value": value, "error": error, "floor": None, "better": "lower"}
    protocol = found.get("protocol", {"num_real": len(real), "num_fake": len(fake), "likelihoods": "nats per token"})
    said = "standard error: BLEU over sequences, likelihoods over sequences, n-grams by the two-sample jackknife"
    return {"scores": scores, "notes": [], "protocol": protocol | {"kind": "sequence", "error": said}}


def token_nll_of_sums(sums: NDArray[np.float64], lengths: NDArray[np.float64]) -> tuple[float, float]:
    """-log p a token of all sequences, in nats, and its standard error: that of a ratio, over sequences.

    >>> token_nll_of_sums(np.array([-2.0, -4.0]), np.array([2.0, 4.0]))
    (1.0, 0.0)
    """
    value = float(-sums.sum() / lengths.sum())
    spread = np.std(sums + value * lengths, ddof=1) if len(sums) > 1 else math.nan
    return value, float(spread / (lengths.mean() * math.sqrt(len(sums))))


def _error(score: str, real: Sequence[Tokens], fake: Sequence[Tokens], known: dict[str, float], seed: int) -> float | None:
    order = int(score.rpartition("_")[2])
    if score.startswith("self_bleu"):
        each = self_bleu_scores(choose(fake, SELF_BLEU_SAMPLE, seed), order)
        return float(np.std(each, ddof=1) / math.sqrt(len(each)))
    if score.startswith("ngram"):
        return divergence_error(real, fake, order)
    return known[score]


def divergence_error(real: Sequence[Tokens], fake: Sequence[Tokens], order: int) -> float | None:
    """The two-sample jackknife over groups of sequences, each n-gram counted once."""
    if min(len(real), len(fake)) < 2 * GROUPS:
        return None
    sides = [[_counts(sequences[group::GROUPS], order) for group in range(GROUPS)] for sequences in (real, fake)]
    whole = [sum(groups, Counter[Gram]()) for groups in sides]
    values = [
        [divergence_of_counts(*(total - groups[group] if side == left else total for side, total in enumerate(whole))) for group in range(GROUPS)]
        for left, groups in enumerate(sides)
    ]
    return math.hypot(*(jackknife(each) for each in values))


def _counts(sequences: Sequence[Tokens], order: int) -> Counter[Gram]:
    counts: Counter[Gram] = Counter()
    for sequence in sequences:
        counts.update(ngrams(sequence, order))
    return counts
