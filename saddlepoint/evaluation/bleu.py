"""BLEU and self-BLEU of token sequences, with one fixed smoothing.

Papineni et al. 2002: the geometric mean of the clipped n-gram precisions p_1 .. p_order, equal weights, times the brevity penalty. Smoothing is
"method 1" of Chen and Cherry 2014, that of SeqGAN's and Texygen's tables: a precision whose numerator is zero has ``EPSILON`` in its place; without
any matching word the score is 0. A sequence shorter than n has one n-gram of length n that matches nothing. Scores are in [0, 1], not percent.
"""

from __future__ import annotations

import math
import typing
from collections import Counter
from collections.abc import Sequence

import numpy as np

from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError

Tokens = Sequence[int] | Sequence[str]
Gram = tuple[int | str, ...]
EPSILON = 0.1  # in place of a zero numerator
SELF_BLEU_SAMPLE = 500  # sequences that self-BLEU compares with each other (Texygen)


def ngrams(sequence: Tokens, order: int) -> Counter[Gram]:
    """The n-grams of one length in a sequence, counted.

    >>> ngrams("a b a b".split(), 2)
    Counter({('a', 'b'): 2, ('b', 'a'): 1})
    """
    return Counter(tuple(sequence[start : start + order]) for start in range(len(sequence) - order + 1))


def sentence_bleu(references: Sequence[Tokens], sequence: Tokens, order: int = 4) -> float:
    """BLEU of one sequence against one or more references.

    Args:
        references: token sequences, none empty.
        sequence: tokens, int or str, at least one.
        order: longest n-gram, at least 1.
    Returns:
        In [0, 1], higher is nearer to the references.
    Raises:
        UsageError: for an empty sequence or no reference.

    >>> round(sentence_bleu(["the cat sat".split()], "the cat ran".split(), order=2), 6)      # sqrt(2/3 * 1/2)
    0.57735
    """
    return _References(as_sequences(references, "reference"), order).score(as_sequences([sequence], "scored")[0])


def corpus_bleu(references: Sequence[Sequence[Tokens]], sequences: Sequence[Tokens], order: int = 4) -> float:
    """BLEU of a corpus: matches, n-grams and lengths are summed over the sequences before the one division.

    Args:
        references: for each sequence its own references, at least one.
        sequences: token sequences, none empty.
        order: longest n-gram, at least 1.
    """
    if len(references) != len(sequences):
        raise UsageError(f"Corpus BLEU needs references for each sequence; {len(references)} lists came for {len(sequences)} sequences.")
    matches, totals, lengths, closest = np.zeros(order), np.zeros(order), 0, 0
    for own, sequence in zip(references, as_sequences(sequences, "scored"), strict=True):
        known = _References(as_sequences(own, "reference"), order)
        found, counted = known.matches(sequence)
        matches, totals = matches + found, totals + counted
        lengths, closest = lengths + len(sequence), closest + known.closest_length(len(sequence))
    return _score(matches, totals, lengths, closest)


def bleu(real: Sequence[Tokens], fake: Sequence[Tokens], order: int = 4) -> float:
    """Mean BLEU of the generated sequences, each against the whole real corpus: how like real ones they are, not how varied.

    SeqGAN, MaliGAN, Texygen: every real sequence is a reference of every generated one.

    Args:
        real: the corpus.
        fake: generated sequences.
        order: longest n-gram; the papers print 2 to 5.
    Returns:
        In [0, 1], higher is better; grows with the size of the corpus, so compare only at one size.
    """
    return float(np.mean(bleu_scores(real, fake, order)))


def bleu_scores(real: Sequence[Tokens], fake: Sequence[Tokens], order: int = 4) -> list[float]:
    """The BLEU of each generated sequence against the whole real corpus, of which :func:`bleu` is the mean."""
    known = _References(as_sequences(real, "real"), order)
    return [known.score(sequence) for sequence in as_sequences(fake, "generated")]


def self_bleu(fake: Sequence[Tokens], order: int = 4, *, sample: int = SELF_BLEU_SAMPLE, seed: int = 0) -> float:
    """Mean BLEU of each sequence against all others of the same set: lower is more varied, 1 is one sequence over and over.

    Zhu et al. 2018 (arXiv:1802.01886), Section 3. Of more than ``sample`` sequences that many are chosen by ``seed``; it grows with
    their number.

    Args:
        fake: at least two sequences.
        order: longest n-gram.
        sample: how many are compared with each other at most.
        seed: of the choice.

    >>> self_bleu([[1, 2, 3], [1, 2, 3], [1, 2, 3]], order=2)
    1.0
    """
    return float(np.mean(self_bleu_scores(choose(as_sequences(fake, "generated"), sample, seed), order)))


def self_bleu_scores(sequences: Sequence[Tokens], order: int = 4) -> list[float]:
    """The BLEU of each sequence against all others, of which :func:`self_bleu` is the mean."""
    if len(sequences) < 2:
        raise UsageError(f"Self-BLEU compares sequences with each other and needs at least 2; {len(sequences)} came. Draw more samples.")
    known = _References(sequences, order)
    return [known.score(sequence, without=index) for index, sequence in enumerate(sequences)]


def choose(sequences: Sequence[Tokens], sample: int, seed: int) -> list[Tokens]:
    """At most ``sample`` of the sequences, chosen by the seed, in their own order."""
    if sample < 1:
        raise UsageError(f"A sample holds at least one sequence; {sample} came.")
    if len(sequences) <= sample:
        return list(sequences)
    order = np.random.default_rng(derive_seed("sequences", seed)).permutation(len(sequences))
    return [sequences[index] for index in sorted(order[:sample])]


def as_sequences(sequences: Sequence[Tokens], name: str) -> list[Tokens]:
    """The sequences as lists of plain ints or strings, none of them empty: the door of every sequence metric.

    Raises:
        UsageError: for no sequence, an empty one, or a text that was not cut into tokens.
    """
    if isinstance(sequences, str) or any(isinstance(sequence, str) for sequence in sequences):
        raise UsageError(f"This metric needs {name} sequences of tokens; text came. Cut it first: text.split() for words, list(text) for characters.")
    plain = [typing.cast(Tokens, [token if isinstance(token, str) else int(token) for token in sequence]) for sequence in sequences]
    if not plain:
        raise UsageError(f"This metric needs at least one {name} sequence; none came. Draw more samples.")
    empty = [index for index, sequence in enumerate(plain) if not sequence]
    if empty:
        raise UsageError(
            f"This metric needs {name} sequences of at least one token; {len(empty)} of {len(plain)} are empty, first number {empty[0]}."
        )
    return plain


class _References:
    """What BLEU must know of a set of references: for every n-gram the largest count in any one of them and the largest but one."""

    def __init__(self, references: Sequence[Tokens], order: int) -> None:
        if order < 1:
            raise UsageError(f"BLEU needs n-grams of at least one token; order {order} came. The papers take 2 to 5.")
        self.order = order
        self.lengths = Counter(len(reference) for reference in references)
        self.owners = [len(reference) for reference in references]
        self.best: dict[Gram, tuple[int, int, int]] = {}  # largest count, whose it is, largest count of the others
        for index, reference in enumerate(references):
            for n in range(1, order + 1):
                for gram, count in ngrams(reference, n).items():
                    first, owner, second = self.best.get(gram, (0, -1, 0))
                    self.best[gram] = (count, index, first) if count > first else (first, owner, max(second, count))

    def score(self, sequence: Tokens, without: int | None = None) -> float:
        """Sentence BLEU, one reference left out where asked."""
        matches, totals = self.matches(sequence, without)
        return _score(matches, totals, len(sequence), self.closest_length(len(sequence), without))

    def matches(self, sequence: Tokens, without: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Clipped matches and number of n-grams for n = 1 .. order, each [order]."""
        matches, totals = np.zeros(self.order), np.zeros(self.order)
        for n in range(1, self.order + 1):
            counts = ngrams(sequence, n)
            matches[n - 1] = sum(min(count, self._limit(gram, without)) for gram, count in counts.items())
            totals[n - 1] = max(1, counts.total())
        return matches, totals

    def closest_length(self, length: int, without: int | None = None) -> int:
        """Length of the reference nearest in length, the shorter of two."""
        own = None if without is None else self.owners[without]
        lengths = [other for other, count in self.lengths.items() if count > (other == own)]
        return min(lengths, key=lambda other: (abs(other - length), other))

    def _limit(self, gram: Gram, without: int | None) -> int:
        first, owner, second = self.best.get(gram, (0, -1, 0))
        return second if owner == without else first


def _score(matches: np.ndarray, totals: np.ndarray, length: int, closest: int) -> float:
    """exp(mean log p_n) times the brevity penalty exp(min(0, 1 - closest / length))."""
    if matches[0] == 0:
        return 0.0
    precisions = np.where(matches == 0, EPSILON, matches) / totals
    return float(math.exp(np.log(precisions).mean() + min(0.0, 1 - closest / length)))
