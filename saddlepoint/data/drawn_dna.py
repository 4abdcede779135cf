"""DNA with planted motifs, drawn so that its density is known: what a sequence model has learned of it can be measured exactly.

Two boxes stand at a short distance from one another somewhere in a random sequence, as in the promoters of bacteria: TTGACA, 16 to 18 letters of
anything, TATAAT. The boxes are those of the textbook; their purity, the distances' shares and the even background are ours.

Axes: n sequences, t letters, p places of the first box.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset, content_hash
from saddlepoint.data.records import DataSpec
from saddlepoint.data.registry import DataCard, Request, source
from saddlepoint.draws import derive_seed
from saddlepoint.errors import DataError

VERSION = 1
COUNT = 20_000
LENGTH = 64
LETTERS = ("A", "C", "G", "T")  # without the boundary of texts: all sequences are whole, so that every sample has a finite density
BOXES = ("TTGACA", "TATAAT")
PURE = 0.85  # probability of a box's own letter at each of its places; the other three share the rest
GAPS = {16: 0.25, 17: 0.5, 18: 0.25}  # letters between the boxes, and how often
SPAN = len(BOXES[0]) + max(GAPS) + len(BOXES[1])
PLACES = LENGTH - SPAN + 1  # where the first box may begin, all equally likely


class PlantedDNA(ArrayDataset):
    """The drawn sequences, with the density that they were drawn from."""

    def density(self, tokens: Tensor) -> Tensor:
        r"""Log probability of sequences under the distribution of this set, in nats.

        .. math:: \log p(x) = -T \log 4 + \log \sum_{p,g} P(p) P(g) \prod_{b,j} 4\, q_{b,j}(x_{p + o_b(g) + j})

        with the place p of the first box, the gap g, and q the probability of a letter at a place j of box b, which begins at :math:`o_b(g)`.

        Args:
            tokens: int64 [n, LENGTH], numbers of letters.
        Returns:
            float64 [n].
        Raises:
            DataError: for sequences of another length or of other tokens.

        >>> data = open_motifs(Request(name="motifs"))
        >>> round(float(data.density(data.column("tokens")[:2000]).mean()), 1)     # an even guess: 64 * log(1/4) = -88.7
        -83.6
        """
        check_tokens(tokens)
        return log_density(tokens)


def check_tokens(tokens: Tensor) -> None:
    """Refuse what is no batch of such sequences."""
    if tokens.ndim != 2 or tokens.shape[1] != LENGTH or tokens.dtype != torch.int64:
        raise DataError(f"Sequences of {LENGTH} letters are needed, int64 [n, {LENGTH}]; {tokens.dtype} {tuple(tokens.shape)} came.")
    if len(tokens) and (int(tokens.min()) < 0 or int(tokens.max()) >= len(LETTERS)):
        raise DataError(f"The letters are numbered 0 to {len(LETTERS) - 1} ({', '.join(LETTERS)}); {int(tokens.min())} to {int(tokens.max())} came.")


def log_density(tokens: Tensor) -> Tensor:
    """As :meth:`PlantedDNA.density`, unchecked."""
    first, second = (_box_log_odds(tokens, box) for box in BOXES)  # n t'
    alternatives = []
    for gap, share in GAPS.items():
        start = len(BOXES[0]) + gap
        alternatives.append(first[:, :PLACES] + second[:, start : start + PLACES] + math.log(share / PLACES))
    return torch.logsumexp(torch.cat(alternatives, 1), 1) - LENGTH * math.log(len(LETTERS))


def _box_log_odds(tokens: Tensor, box: str) -> Tensor:
    """Log odds of a box against the background at each place, float64 [n, t - len(box) + 1]."""
    own, other = math.log(PURE * 4), math.log((1 - PURE) / 3 * 4)
    letters = torch.tensor([LETTERS.index(letter) for letter in box], device=tokens.device)
    matches = tokens.unfold(1, len(box), 1) == letters  # n t' j
    hits = matches.sum(2, dtype=torch.float64)
    return hits * own + (len(box) - hits) * other


@functools.cache
def _drawn() -> dict[str, Tensor]:
    """Tokens, the place of the first box, and the gap behind it, of every sequence."""
    rng = torch.Generator().manual_seed(derive_seed("motifs", VERSION))
    tokens = torch.randint(len(LETTERS), (COUNT, LENGTH), generator=rng)
    place = torch.randint(PLACES, (COUNT,), generator=rng)
    shares = torch.tensor([*GAPS.values()], dtype=torch.float64)
    gap = torch.tensor([*GAPS])[torch.multinomial(shares, COUNT, replacement=True, generator=rng)]
    for box, start in zip(BOXES, (place, place + len(BOXES[0]) + gap), strict=True):
        letters = torch.tensor([LETTERS.index(letter) for letter in box]).expand(COUNT, -1)
        pure = torch.rand(COUNT, len(box), generator=rng) < PURE
        shift = torch.randint(1, len(LETTERS), (COUNT, len(box)), generator=rng)
        planted = torch.where(pure, letters, (letters + shift) % len(LETTERS))
        tokens.scatter_(1, start[:, None] + torch.arange(len(box)), planted)
    return {"tokens": tokens, "place": place, "gap": gap}


@source(
    DataCard(
        name="motifs",
        title="DNA with two planted boxes at a known distance, and its exact density",
        kind="sequence",
        shape=(LENGTH,),
        num_records=COUNT,
        licence="MIT (drawn by this package)",
        origin="saddlepoint.data.drawn_dna",
        credits="the saddlepoint authors",
    )
)
def open_motifs(request: Request) -> PlantedDNA:
    """20,000 sequences of 64 letters: tokens int64 [64], place (of the first box) and gap (letters between the boxes), int64."""
    fields = _drawn()
    spec = DataSpec(
        name=request.name,
        kind="sequence",
        shape=(LENGTH,),
        num_records=COUNT,
        content_hash=content_hash(fields),
        fields=tuple(fields),
        shapes={"place": (), "gap": ()},
        vocabulary=LETTERS,
    )
    return PlantedDNA(fields, spec)
