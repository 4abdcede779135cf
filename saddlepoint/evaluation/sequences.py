"""Metrics of token sequences: likelihoods under an oracle or a model, n-gram statistics, and all of them with floor and protocol.

Tokens are int or str; a sequence holds at least one. BLEU and self-BLEU are in :mod:`saddlepoint.evaluation.bleu`. Logarithms are natural (nats)
unless said otherwise. Axes: n sequences, t tokens.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from saddlepoint import __version__
from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.bleu import EPSILON, SELF_BLEU_SAMPLE, Gram, Tokens, as_sequences, bleu_scores, choose, ngrams, self_bleu

Float64 = NDArray[np.float64]
LogProbabilities = Sequence[Sequence[float]] | Sequence[NDArray[np.floating[Any]]] | NDArray[np.floating[Any]]
Scorer = Callable[[Sequence[Tokens]], LogProbabilities]


def nll_oracle(oracle: Scorer, fake: Sequence[Tokens]) -> float:
    """Mean -log p_oracle of a generated token: how likely a known distribution finds what was generated.

    Yu et al. 2017 (arXiv:1609.05473), Eq. 9 per token, on 10,000 sequences there. It falls when the generator drops modes: read it with
    :func:`nll_test`.

    Args:
        oracle: gives for sequences the log probability of each token given those before it, one row of t numbers a sequence.
        fake: generated sequences.
    Returns:
        Nats per token, lower is better.
    """
    return token_nll(log_probabilities(oracle, fake))


def nll_test(real: Sequence[Tokens], model: Scorer) -> float:
    """Mean -log p_model of a real held-out token: how likely the generator finds real data. It rises when modes are dropped.

    Args:
        real: held-out sequences.
        model: gives for sequences the log probability of each token given those before it, one row of t numbers a sequence.
    Returns:
        Nats per token, lower is better; infinite if the model excludes a real token.
    """
    return token_nll(log_probabilities(model, real))


def token_nll(log_probs: LogProbabilities) -> float:
    """Mean of -log p over all tokens of all sequences; a longer sequence weighs more.

    >>> round(token_nll([[math.log(0.5), math.log(0.5)], [math.log(0.25)]]), 6) == round(math.log(2) * 4 / 3, 6)
    True
    """
    return float(-np.concatenate(_rows(log_probs)).mean())


def perplexity(log_probs: LogProbabilities, *, per: Literal["token", "sequence"] = "token") -> float:
    """exp of the mean negative log probability: among how many equally likely tokens the model hesitates.

    Args:
        log_probs: one row of log probabilities a sequence.
        per: "token": exp of the mean over all tokens. "sequence": the mean over sequences of each one's own exp of its mean, so that a long sequence
            weighs as much as a short one.

    >>> round(perplexity([[math.log(0.5), math.log(0.5)], [math.log(0.125)]], per="sequence"), 6)       # (2 + 8) / 2
    5.0
    """
    if per == "token":
        return float(np.exp(token_nll(log_probs)))
    return float(np.mean([np.exp(-row.mean()) for row in _rows(log_probs)]))


def log_probabilities(scorer: Scorer, sequences: Sequence[Tokens]) -> list[Float64]:
    """What a scorer says of sequences: one log probability a token, float64, checked.

    Raises:
        UsageError: where the numbers do not fit the tokens or are no log probabilities.
    """
    given = as_sequences(sequences, "scored")
    rows = _rows(scorer(given))
    if [len(row) for row in rows] != [len(sequence) for sequence in given]:
        came = f"{len(rows)} rows, {sum(map(len, rows))} numbers" if len(rows) != len(given) else f"{sum(map(len, rows))} numbers"
        raise UsageError(
            f"A scorer must give one log probability a token; {len(given)} sequences of {sum(map(len, given))} tokens got {came}. Cut off padding."
        )
    return rows


def ngram_jensen_shannon(real: Sequence[Tokens], fake: Sequence[Tokens], order: int = 4) -> float:
    """Jensen-Shannon divergence in bits between the n-gram distributions of two corpora.

    Gulrajani et al. 2017 (arXiv:1704.00028), Section 5.4, n = 1 .. 4 (TTUR: 4 and 6); no smoothing, as none is needed: the mixture has the n-grams
    of both. Few samples make it large: print the floor of two real halves beside it.

    Args:
        real: corpus; n-grams do not cross from one sequence to the next.
        fake: corpus.
        order: n.
    Returns:
        Bits in [0, 1], 0 for equal distributions and 1 where no n-gram is in common.
    Raises:
        UsageError: if no sequence of one side is as long as ``order``.

    >>> round(ngram_jensen_shannon([[0, 0, 1, 1]], [[0, 0, 0, 0]], order=1), 6)     # (log2(4/3) + 0.5 log2(2/3) + 0.5) / 2
    0.311278
    """
    return divergence_of_counts(_gram_counts(real, order, "real"), _gram_counts(fake, order, "generated"))


def divergence_of_counts(real: Mapping[Gram, int], fake: Mapping[Gram, int]) -> float:
    """The same of counted n-grams, at least one a side."""
    totals = sum(real.values()), sum(fake.values())
    p, q = ({gram: count / total for gram, count in side.items()} for side, total in zip((real, fake), totals, strict=True))
    divergence = 0.0
    for own, other in ((p, q), (q, p)):
        divergence += 0.5 * sum(share * math.log2(share / (0.5 * (share + other.get(gram, 0.0)))) for gram, share in own.items())
    return min(1.0, max(0.0, divergence))


def pitch_error(real: Sequence[Sequence[int]], fake: Sequence[Sequence[int]]) -> float:
    """Mean squared difference of the pitches of generated and reference melodies, note by note, in squared semitones (SeqGAN's music task).

    Args:
        real: reference melodies as pitch numbers.
        fake: for each its generated counterpart, of the same length.
    """
    pairs = list(zip(as_sequences(real, "real"), as_sequences(fake, "generated"), strict=False))
    if len(real) != len(fake) or any(len(a) != len(b) for a, b in pairs):
        raise UsageError(f"The pitch error compares note by note and needs melodies in pairs of equal length; {len(real)} and {len(fake)} came.")
    differences = np.concatenate([np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64) for a, b in pairs])
    return float((differences**2).mean())


def sequence_scores(
    real: Sequence[Tokens],
    fake: Sequence[Tokens],
    *,
    orders: Sequence[int] = (2, 3, 4),
    sample: int = SELF_BLEU_SAMPLE,
    seed: int = 0,
    oracle: Scorer | None = None,
    model: Scorer | None = None,
) -> dict[str, Any]:
    """Every sequence metric that can be computed, with its floor, its uncertainty and its protocol.

    The floor is the same metric of real sequences against real ones: the corpus is halved by the seed; the first half stands for the corpus and
    as many of the second as there are generated ones, at most all, for the generated.

    Args:
        real: held-out corpus, at least four sequences.
        fake: generated sequences, at least two.
        orders: of BLEU and self-BLEU; the n-gram divergence takes 1 to the largest.
        sample: how many sequences self-BLEU compares with each other.
        seed: of the halves and of that choice.
        oracle: log probabilities by the true distribution, where there is one.
        model: log probabilities by the generator, where it has any.
    Returns:
        Scores by name ("bleu_4", "self_bleu_4", "ngram_js_4", "nll_oracle", "nll_test", "perplexity_test"), "standard_error" of those that are
        means over sequences, "floor" and "protocol".
    """
    corpus, samples = as_sequences(real, "real"), as_sequences(fake, "generated")
    if len(corpus) < 4:
        raise UsageError(f"Scores with a floor need at least 4 real sequences, for two halves; {len(corpus)} came.")
    shuffled = np.random.default_rng(derive_seed("sequence floor", seed)).permutation(len(corpus))
    halves = [[corpus[index] for index in half] for half in np.array_split(shuffled, 2)]
    scores, errors = _corpus_scores(corpus, samples, orders, sample, seed)
    floor, _ = _corpus_scores(halves[0], halves[1][: len(samples)], orders, sample, seed)
    if oracle is not None:
        scores["nll_oracle"], floor["nll_oracle"] = nll_oracle(oracle, samples), nll_oracle(oracle, corpus)
    if model is not None:
        log_probs = log_probabilities(model, corpus)
        scores |= {"nll_test": token_nll(log_probs), "perplexity_test": perplexity(log_probs)}
    protocol = sequence_protocol(corpus, samples, orders=orders, sample=sample, seed=seed)
    protocol["floor"] = {"num_real": len(halves[0]), "num_fake": len(halves[1][: len(samples)])}
    return {**scores, "standard_error": errors, "floor": floor, "protocol": protocol}


def sequence_protocol(real: Sequence[Tokens], fake: Sequence[Tokens], *, orders: Sequence[int], sample: int, seed: int) -> dict[str, Any]:
    """What a reader must know to compare sequence scores; plain JSON."""
    return {
        "metrics": "sequences",
        "num_real": len(real),
        "num_fake": len(fake),
        "real_hash": _content_hash(real),
        "mean_length_real": float(np.mean([len(sequence) for sequence in real])),
        "mean_length_fake": float(np.mean([len(sequence) for sequence in fake])),
        "bleu": {
            "orders": list(orders),
            "references": "the whole real corpus",
            "smoothing": f"zero matches count {EPSILON}",
            "average": "of sentences",
        },
        "self_bleu": {"sequences": len(choose(fake, sample, seed)), "references": "all others of them", "seed": seed},
        "ngram_js": {"orders": list(range(1, max(orders) + 1)), "unit": "bits", "smoothing": None},
        "likelihoods": "nats per token",
        "seed": seed,
        "version": __version__,
    }


def _corpus_scores(
    real: list[Tokens], fake: list[Tokens], orders: Sequence[int], sample: int, seed: int
) -> tuple[dict[str, float], dict[str, float]]:
    """The metrics that need sequences alone, and the standard errors of the means among them."""
    scores, errors = {}, {}
    for order in orders:
        each = bleu_scores(real, fake, order)
        scores[f"bleu_{order}"] = float(np.mean(each))
        errors[f"bleu_{order}"] = float(np.std(each, ddof=1) / math.sqrt(len(each)))
        scores[f"self_bleu_{order}"] = self_bleu(fake, order, sample=sample, seed=seed)
    for order in range(1, max(orders) + 1):
        scores[f"ngram_js_{order}"] = ngram_jensen_shannon(real, fake, order)
    return scores, errors


def _gram_counts(sequences: Sequence[Tokens], order: int, name: str) -> Counter[Gram]:
    """How often each n-gram occurs in a corpus."""
    if order < 1:
        raise UsageError(f"n-grams hold at least one token; order {order} came.")
    counts: Counter[Gram] = Counter()
    for sequence in as_sequences(sequences, name):
        counts.update(ngrams(sequence, order))
    if not counts:
        raise UsageError(f"n-grams of {order} tokens need a sequence of that length; no {name} sequence is so long. Take a smaller order.")
    return counts


def _rows(log_probs: LogProbabilities) -> list[Float64]:
    """Log probabilities as float64 rows; at least one number a row, none above 0 or NaN."""
    rows = [np.asarray(row, dtype=np.float64).reshape(-1) for row in log_probs]
    if not rows or any(row.size == 0 for row in rows):
        raise UsageError("Likelihoods need at least one sequence, each of at least one token; an empty one came.")
    if any(np.isnan(row).any() or (row > 1e-6).any() for row in rows):
        raise UsageError("Log probabilities are at most 0; a NaN or a larger number came. Give log p, not p or -log p.")
    return rows


def _content_hash(sequences: Sequence[Tokens]) -> str:
    return hashlib.blake2b(json.dumps([list(sequence) for sequence in sequences]).encode(), digest_size=8).hexdigest()
