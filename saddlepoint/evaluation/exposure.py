"""How wrong a model of sequences is about the next token, place by place, behind true beginnings and behind its own.

Where the true distribution is known, the error at a place is exact over the vocabulary: no token is drawn to measure it. A model that only ever saw
true beginnings may know less behind its own (exposure bias: Ranzato et al. 2016, arXiv:1511.06732; Bengio et al. 2015, arXiv:1506.03099). Behind no
token at all both are the same; what grows from there is that bias. Axes: n sequences, t places, v tokens.
"""

from __future__ import annotations

from torch import Tensor


def next_token_divergence(true_log_p: Tensor, log_p: Tensor) -> Tensor:
    r"""What the truth says against a model at each place, a mean over the sequences.

    .. math:: K_t = \frac1n \sum_i \sum_v p(v \mid y^i_{<t}) \log \frac{p(v \mid y^i_{<t})}{q(v \mid y^i_{<t})}

    Args:
        true_log_p: log p, the truth, [n, t, v].
        log_p: log q, the model, behind the same beginnings, [n, t, v].
    Returns:
        Float64 [t], in nats, at least 0.

    >>> import torch
    >>> half, sure = torch.tensor([[[0.5, 0.5]]]), torch.tensor([[[0.25, 0.75]]])
    >>> round(next_token_divergence(half.log(), sure.log()).item(), 4)      # log(4 / 3) / 2
    0.1438
    """
    true_log_p, log_p = true_log_p.double(), log_p.double()
    return (true_log_p.exp() * (true_log_p - log_p)).nan_to_num(0.0).sum(2).mean(0)
