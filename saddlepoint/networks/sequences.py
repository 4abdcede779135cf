"""Generators of sequences, token by token: drawing from them, and finishing what was begun, with no prefix computed twice.

    p(y_1, ..., y_T) = prod_t p(y_t | y_1, ..., y_{t-1})

Axes: n sequences, t positions, v tokens of the vocabulary, h features, k draws from one distribution, r rows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.networks.packed import PackedLinear, packs

State = tuple[Tensor, ...]  # what a generator remembers of each row, [r, ...]: rows may be chosen, repeated and joined
ON_CPU, ELSEWHERE = 2**19, 2**27  # probabilities computed at once: on the processor as many as its cache holds
NARROW = 512  # vocabularies up to this size are searched in one step
FLAT = 17.0  # exp(-17) is below half the last bit of float32
SPREAD = 43.0  # between the largest logit and the mean one: exp(-17 - 43) is far from the smallest normal number, exp(-87)


class SequenceGenerator(nn.Module):
    """The distribution of each token given those before it.

    Subclasses define :meth:`begin`, :meth:`step` and :meth:`features`, which must agree.

    Attributes:
        vocabulary: v.
        length: T, the most tokens that a sequence has.
        start: the token that every sequence is thought to begin with.
        end: the token after which there is nothing but itself; None where every sequence is T long.
        output: features -> logits of the next token.
        bound: no feature is larger in size than this; None where there is no bound.
    """

    bound: float | None = None

    def __init__(self, vocabulary: int, length: int, hidden_dim: int, *, start: int = 0, end: int | None = None) -> None:
        super().__init__()
        self.vocabulary, self.length, self.start, self.end = vocabulary, length, start, end
        self.output = nn.Linear(hidden_dim, vocabulary)

    def begin(self, n: int) -> State:
        """What is remembered of n sequences before the first token."""
        raise NotImplementedError(f"{type(self).__name__} must say what it remembers before the first token.")

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token a row, int64 [r]; returns features [r, h] of what comes next, and the new memory."""
        raise NotImplementedError(f"{type(self).__name__} must say how it reads a token.")

    def features(self, tokens: Tensor) -> Tensor:
        """Features [n, t, h] of all positions at once: those at t have read the start and the tokens before t."""
        raise NotImplementedError(f"{type(self).__name__} must say what comes of all positions at once.")

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [n, t, v] of each token of [n, t] given those before it."""
        logits: Tensor = self.output(self.features(tokens))
        return logits

    def log_prob(self, tokens: Tensor) -> Tensor:
        """log p(y_t | y_<t) in nats, [n, t]; what stands behind the end is certain: 0."""
        logits = self(tokens)
        log_p = -F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none").view(tokens.shape)
        return log_p * self.counted(tokens, log_p.dtype)

    def counted(self, tokens: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """1 where a token belongs to its sequence, the end included, 0 behind it; [n, t]."""
        if self.end is None:
            return torch.ones(tokens.shape, dtype=dtype, device=tokens.device)
        ended = (tokens == self.end).long().cumsum(1)
        return ((ended == 0) | ((ended == 1) & (tokens == self.end))).to(dtype)

    def first_inputs(self, tokens: Tensor) -> Tensor:
        """The tokens moved by one place, behind the start: what is read at each position, [n, t]."""
        return F.pad(tokens[:, :-1], (1, 0), value=self.start)

    def after(self, before: Tensor, drawn: Tensor) -> Tensor:
        """The drawn tokens, but the end behind an end."""
        return drawn if self.end is None else torch.where(before == self.end, self.end, drawn)


def draw_tokens(probs: Tensor, u: Tensor) -> Tensor:
    """Tokens by the inverse of the distribution function, one uniform number each.

    A large vocabulary is searched twice: for the block that the number falls into, by the blocks' sums, then inside it. So a token costs one sum over
    the vocabulary instead of v random numbers or a running sum.

    Args:
        probs: [r, v], at least 0; need not sum to 1.
        u: [r, k] in [0, 1).
    Returns:
        int64 [r, k]; a token of probability 0 is never drawn.

    >>> draw_tokens(torch.tensor([[0.25, 0.0, 0.75]]), torch.tensor([[0.0, 0.2, 0.25, 0.99]])).tolist()
    [[0, 0, 2, 2]]
    """
    if probs.shape[1] <= NARROW:
        return _search(probs.cumsum(1)[:, None], u)
    return _inside_block(probs.shape[1], *_choose_block(probs, u))


def _choose_block(probs: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The block of the vocabulary that each number falls into [r, k], what of the number is left inside it [r, k], its probabilities [r, k, w]."""
    blocks = _blocks(probs)
    edges = blocks.sum(2).cumsum(1)  # r b
    block, target = _find_block(edges, u)
    rows = torch.arange(0, len(edges) * edges.shape[1], edges.shape[1], device=probs.device)[:, None] + block
    return block, _left(edges, block, target), blocks.flatten(0, 1)[rows]


def _blocks(probs: Tensor) -> Tensor:
    """Probabilities [r, v] as blocks of about as many as there are blocks, [r, b, w]; zeros fill the last one."""
    v = probs.shape[1]
    width = next((w for w in range(math.isqrt(v - 1) + 1, 4 * math.isqrt(v)) if v % w == 0), math.isqrt(v) + 1)
    return (probs if v % width == 0 else F.pad(probs, (0, -v % width))).view(len(probs), -1, width)


def _find_block(edges: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """The block [r, k] that u of the whole falls into, by the running sums of the blocks [r, b]; and how much that is [r, k]."""
    target = u * edges[:, -1:]
    return torch.searchsorted(edges, target, right=True).clamp_(max=edges.shape[1] - 1), target


def _left(edges: Tensor, block: Tensor, target: Tensor) -> Tensor:
    """What is left of the target [r, k] inside its block."""
    return target - F.pad(edges, (1, 0)).gather(1, block)


def _inside_block(v: int, block: Tensor, target: Tensor, probs: Tensor) -> Tensor:
    """The token of each block where the running sum of its probabilities [r, k, w] exceeds the target [r, k]."""
    edges = probs.cumsum(2)
    place = torch.searchsorted(edges, _inside(edges, target)[..., None], right=True)[..., 0]
    return (block * probs.shape[2] + place).clamp_(max=v - 1)


def _search(edges: Tensor, u: Tensor) -> Tensor:
    """The first place where the running sum [r, 1, v] exceeds u of its whole."""
    if u.shape[1] > 8:
        return torch.searchsorted(edges[:, 0], _inside(edges, u * edges[:, :, -1]), right=True)
    return _find(edges, u * edges[:, :, -1])


def _find(edges: Tensor, target: Tensor) -> Tensor:
    """How many edges [r, k, w] are up to the target [r, k]."""
    return (edges <= _inside(edges, target)[..., None]).sum(-1)


def _inside(edges: Tensor, target: Tensor) -> Tensor:
    """The target, kept between 0 and the last edge, which rounding might push it out of."""
    return target.clamp_min(0).minimum(edges[..., -1] * (1 - 2 * torch.finfo(edges.dtype).eps))


class Drawer:
    """Draws tokens from the distributions that follow features; made once for many draws by the same weights, which it copies.

    In float32 on a processor, and where the logits are known to lie close enough together, probabilities come out of the product itself: with s at
    least 17 above the largest logit, sigmoid(x - s) = exp(x - s) / (1 + exp(x - s)) is exp(x - s) to the last bit but one of float32, and the
    logistic function is applied before a result leaves the cache. Otherwise they are the softmax of the logits.

    Args:
        output: features -> logits.
        rows: how many rows will be drawn for at once, at most.
        temperature: divides the logits; below 1 the likely becomes likelier.
        bound: no feature is larger in size; None where no bound is known.
    """

    def __init__(self, output: nn.Linear, rows: int, *, temperature: float = 1.0, bound: float | None = None) -> None:
        weight, bias = output.weight.detach() / temperature, output.bias.detach() / temperature
        self.vocabulary, self.dtype = len(weight), weight.dtype
        self.at_once = max(1, min(rows, (ON_CPU if weight.device.type == "cpu" else ELSEWHERE) // self.vocabulary))
        self.direct = bound is not None and packs(weight)
        if bound is not None and self.direct:
            highest = (bias + weight.abs().sum(1) * bound).max()
            lowest = bias.mean() - weight.mean(0).abs().sum() * bound  # of the mean logit, which the logarithm of the mean probability is above
            self.direct = bool(highest - lowest < SPREAD)
            bias = bias - (highest + FLAT) if self.direct else bias
        self.product = PackedLinear(weight, bias, self.at_once, "sigmoid" if self.direct else "none")

    def probabilities(self, features: Tensor) -> Tensor:
        """[r, h] -> [r, v], up to a factor; softmax(x) where it is not direct."""
        return self.product(features) if self.direct else torch.softmax(self.product(features), 1)

    @torch.no_grad()
    def __call__(self, features: Tensor, u: Tensor) -> Tensor:
        """Tokens int64 [r, k] that follow features [r, h], for uniform numbers u [r, k]."""
        parts = list(zip(torch.split(features.to(self.dtype), self.at_once), torch.split(u.to(self.dtype), self.at_once), strict=True))
        if self.vocabulary <= NARROW:
            return torch.cat([draw_tokens(self.probabilities(part), numbers) for part, numbers in parts])
        found, starts = [], None
        for part, numbers in parts:  # a block of each row outlives its probabilities; the search inside the blocks is one for all
            blocks = _blocks(self.probabilities(part))
            edges = blocks.sum(2).cumsum(1)
            block, target = _find_block(edges, numbers)
            if starts is None:
                starts = torch.arange(0, len(edges) * edges.shape[1], edges.shape[1], device=edges.device)[:, None]
            found.append((edges, block, target, blocks.flatten(0, 1)[starts[: len(edges)] + block]))
        edges, block, target, inside = (torch.cat(each) for each in zip(*found, strict=True))
        return _inside_block(self.vocabulary, block, _left(edges, block, target), inside)


def draw_next(output: nn.Linear, features: Tensor, u: Tensor, temperature: float = 1.0) -> Tensor:
    """One draw by a :class:`Drawer` of its own: tokens int64 [r, k] that follow features [r, h], for uniform numbers u [r, k] in [0, 1)."""
    return Drawer(output, len(features), temperature=temperature)(features, u)


@torch.no_grad()
def sample_sequences(generator: SequenceGenerator, u: Tensor, *, given: Tensor | None = None, clamp: int = 0, temperature: float = 1.0) -> Tensor:
    """Sequences int64 [n, T], ancestral: each token from its distribution given those before.

    Args:
        generator: what draws.
        u: uniform numbers [n, T].
        given: sequences [n, T] whose first ``clamp`` tokens are kept.
        clamp: how many.
        temperature: as of :class:`Drawer`.
    """
    n, length = u.shape
    tokens = torch.full((n, length), generator.start, device=u.device)
    last, state = tokens[:, 0], generator.begin(n)
    draw = Drawer(generator.output, n, temperature=temperature, bound=generator.bound)
    for t in range(length):
        features, state = generator.step(last, state)
        if given is not None and t < clamp:
            last = given[:, t]
        else:
            drawn = draw(features, u[:, t : t + 1])[:, 0]
            last = drawn if t == 0 else generator.after(last, drawn)
        tokens[:, t] = last
    return tokens


class Begun(NamedTuple):
    """Sequences read by a policy: features [n, h] and memory after the first s tokens, for s = 0 .. T-1."""

    features: list[Tensor]
    states: list[State]


def read(policy: SequenceGenerator, tokens: Tensor) -> Begun:
    """Read sequences [n, T] once, and keep what is remembered at every position."""
    state, inputs, begun = policy.begin(len(tokens)), policy.first_inputs(tokens), Begun([], [])
    for t in range(tokens.shape[1]):
        features, state = policy.step(inputs[:, t], state)
        begun.features.append(features)
        begun.states.append(state)
    return begun


def uniforms_needed(length: int) -> int:
    """Uniform numbers that one roll-out of every prefix of a sequence takes: length - 1 for the shortest prefix, 1 for the longest."""
    return length * (length - 1) // 2


@torch.no_grad()
def roll_out(policy: SequenceGenerator, tokens: Tensor, u: Tensor) -> Tensor:
    """Finish every prefix of every sequence N times: N-sample Monte-Carlo search (Yu et al. 2017, Eq. 4).

    All prefixes are finished in one pass over the positions: at position s the roll-outs of the prefixes shorter than s read one token more, and
    those of the prefix s begin from what is remembered of it; its N first tokens come from one distribution, computed once.

    Args:
        policy: finishes; the roll-out policy.
        tokens: sequences int64 [n, T].
        u: uniform numbers [n, N, T (T - 1) / 2].
    Returns:
        int64 [T-1, n, N, T]: at [s-1] the first s tokens are those of the sequence.
    """
    (n, length), count, begun = tokens.shape, u.shape[1], read(policy, tokens)
    out = tokens[None, :, None].repeat(length - 1, 1, count, 1)  # s n N t
    last, state = tokens.new_empty(0), tuple(part[:0] for part in begun.states[0])
    draw, used = Drawer(policy.output, n * count * length, bound=policy.bound), 0
    for s in range(1, length):
        numbers = u[:, :, used : used + s].permute(2, 0, 1)  # s n N
        used += s
        fresh = draw(begun.features[s], numbers[-1]).flatten()  # n N
        older = fresh[:0]
        if s > 1:
            features, state = policy.step(last, state)
            older = draw(features, numbers[:-1].reshape(-1, 1))[:, 0]
        drawn = policy.after(out[:s, :, :, s - 1].flatten(), torch.cat([older, fresh]))
        out[:s, :, :, s] = drawn.view(s, n, count)
        grown = (part.repeat_interleave(count, 0) for part in begun.states[s])
        state, last = tuple(torch.cat(pair) for pair in zip(state, grown, strict=True)) if s > 1 else tuple(grown), drawn
    return out
