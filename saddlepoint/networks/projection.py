"""The projection discriminator's head, for any discriminator that ends in a linear layer over its features.

    D(x, y) = y^T V phi(x) + psi(phi(x))          Miyato & Koyama 2018 (arXiv:1802.05637), section 3 and Fig. 1d

phi(x): the features; psi: the linear layer that is there; V: an embedding of the class. If p(y|x) and p(x) are of the log-linear family that a
softmax classifier assumes, this is the form that the optimal log ratio has (Eq. 3 to 5).

Axes: n batch, d features, k classes.
"""

from __future__ import annotations

from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Discriminator, Judgement
from saddlepoint.networks.heads import find_head
from saddlepoint.networks.spectral import Embedding, SpectralNorm, WeightNorm, use_weight_norm
from saddlepoint.networks.spectral import Linear as SpectralLinear


class ProjectionHead(Discriminator):
    """A discriminator told the class by an inner product of its features with the class's vector.

    Args:
        network: judges without labels and gives features [n, d], the input of its last linear layer.
        num_classes: k.

    The embedding is normalised as the last layer is.
    """

    def __init__(self, network: Discriminator, num_classes: int) -> None:
        super().__init__()
        _, head = find_head(network)
        norm = head.spectral if isinstance(head, SpectralLinear) else None
        self.network = network
        self.embedding = Embedding(num_classes, head.in_features, spectral_norm=isinstance(norm, SpectralNorm))
        if isinstance(norm, WeightNorm):
            use_weight_norm(self.embedding)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Samples [n, ...] and int64 [n] to logits [n] and features [n, d].

        Raises:
            UsageError: without labels.
        """
        if labels is None:
            k = self.embedding.num_embeddings
            raise UsageError(f"This discriminator is conditional on {k} classes and needs labels; got none. Use data with labels.")
        logits, features, class_logits = self.network(x)
        return Judgement(logits + (self.embedding(labels) * features).sum(1), features, class_logits)
