"""Sentences as vectors: what networks are told that are told captions.

    letters     words and pieces of words, hashed to 256 numbers; needs no file and learns nothing: captions are alike that share words
    all-minilm  all-MiniLM-L6-v2 (Reimers & Gurevych 2019), 384 numbers, once `saddlepoint data get all-minilm` has fetched it (extra ``captions``)
    FOLDER      another sentence transformer of BERT's kind, from a folder: model.safetensors, tokenizer.json, config.json (extra ``captions``)

Either gives vectors of length 1. Axes: n sentences, t tokens, e numbers of a sentence, h heads.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.errors import DataError, UsageError

LETTERS, MINILM = "letters", "all-minilm"
FILES = ("config.json", "tokenizer.json", "model.safetensors")
DIMENSION, PIECES = 256, (3, 4, 5)
WORDS = 64  # that the encoder of letters takes
TOKENS = 256  # that a sentence transformer takes, as all-MiniLM was trained
BATCH = 64


class Encoder(Protocol):
    """Sentences in, vectors out.

    Attributes:
        dimension: e.
    """

    dimension: int

    def embed(self, sentences: Sequence[str]) -> Tensor:
        """Vectors of length 1, float32 [n, e].

        Raises:
            UsageError: for a sentence longer than it takes.
        """
        ...


def open_encoder(name: str) -> Encoder:
    """An encoder by name.

    Raises:
        DataError: for a folder that is none, or all-minilm where it was not fetched.
    """
    if name == LETTERS:
        return LettersEncoder()
    if name == MINILM:
        from saddlepoint.data.offered_encoder import place_of_encoder

        return SentenceTransformer(place_of_encoder())
    return SentenceTransformer(Path(name).expanduser())


class LettersEncoder:
    """Each word, and each 3 to 5 letters of it with its ends marked, adds 1 or -1 to one of 256 numbers (the hashing trick); a word counts as much as
    all its pieces together.

    >>> red, blue, car = LettersEncoder().embed(["a red heart", "a blue heart", "a sports car"])
    >>> float(red @ blue) > 2 * float(red @ car)
    True
    """

    dimension = DIMENSION

    def embed(self, sentences: Sequence[str]) -> Tensor:
        """As of the protocol."""
        found = torch.zeros(len(sentences), DIMENSION)
        for row, sentence in enumerate(sentences):
            words = re.findall(r"\w+", sentence.lower())
            if len(words) > WORDS:
                raise UsageError(f"This encoder takes captions of up to {WORDS} words; one of {len(words)} came: {sentence[:40]!r}... Shorten it.")
            for word in words:
                marked = f"<{word}>"
                pieces = [marked[k : k + size] for size in PIECES for k in range(len(marked) - size + 1) if size < len(marked)]
                for piece, weight in [(marked, 1.0), *((piece, len(pieces) ** -0.5) for piece in pieces)]:
                    digest = hashlib.blake2b(piece.encode(), digest_size=8).digest()
                    found[row, int.from_bytes(digest[:4], "big") % DIMENSION] += weight if digest[4] & 1 else -weight
        return F.normalize(found, dim=1)


class SentenceTransformer:
    """BERT's encoder with the mean of its last states (Reimers & Gurevych 2019, arXiv:1908.10084), on the processor, without gradients.

    Args:
        folder: model.safetensors, tokenizer.json and config.json.
    Raises:
        DataError: for a file that is missing or of another kind.
        UsageError: where tokenizers is needed and not there.
    """

    def __init__(self, folder: Path) -> None:
        missing = [name for name in FILES if not (folder / name).is_file()]
        if missing:
            raise DataError(
                f"{folder} is no sentence transformer: {', '.join(missing)} is missing. Point at a folder with {', '.join(FILES)}, or take the "
                f"encoder {LETTERS} or {MINILM}."
            )
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise UsageError(
                f"Sentence transformers need tokenizers, which cannot be imported ({error}). Install it: pip install 'saddlepoint[captions]'."
            ) from error
        from safetensors.torch import load_file

        config = json.loads((folder / "config.json").read_text("utf-8"))
        if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
            raise DataError(f"{folder} holds a {config.get('model_type')} model with {config.get('hidden_act')}; BERT's kind with gelu is known.")
        self.heads, self.layers, self.eps = config["num_attention_heads"], config["num_hidden_layers"], config["layer_norm_eps"]
        self.dimension = int(config["hidden_size"])
        self.weights = {name.removeprefix("bert."): value.float() for name, value in load_file(str(folder / "model.safetensors")).items()}
        self.tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_truncation()
        self.tokenizer.enable_padding(pad_id=config.get("pad_token_id", 0))

    @torch.no_grad()
    def embed(self, sentences: Sequence[str]) -> Tensor:
        """As of the protocol."""
        parts = [self._embed(sentences[start : start + BATCH]) for start in range(0, len(sentences), BATCH)]
        return torch.cat(parts) if parts else torch.zeros(0, self.dimension)

    def _embed(self, sentences: Sequence[str]) -> Tensor:
        encoded = self.tokenizer.encode_batch(list(sentences))
        tokens, mask = (torch.tensor([getattr(each, name) for each in encoded]) for name in ("ids", "attention_mask"))
        for sentence, length in zip(sentences, mask.sum(1).tolist(), strict=True):
            if length > TOKENS:
                raise UsageError(f"This encoder takes captions of up to {TOKENS} tokens; one of {length} came: {sentence[:40]!r}... Shorten it.")
        w, n, t = self.weights, len(tokens), tokens.shape[1]
        x = w["embeddings.word_embeddings.weight"][tokens] + w["embeddings.position_embeddings.weight"][:t]
        x = self._norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for k in range(self.layers):
            layer = f"encoder.layer.{k}"
            q, key, value = (
                self._linear(x, f"{layer}.attention.self.{part}").view(n, t, self.heads, -1).transpose(1, 2) for part in ("query", "key", "value")
            )
            seen = F.scaled_dot_product_attention(q, key, value, mask[:, None, None, :].bool()).transpose(1, 2).reshape(n, t, -1)
            x = self._norm(x + self._linear(seen, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
            inner = F.gelu(self._linear(x, f"{layer}.intermediate.dense"))
            x = self._norm(x + self._linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        shares = mask[:, :, None] / mask.sum(1)[:, None, None]
        return F.normalize((x * shares).sum(1), dim=1)

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (self.dimension,), self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], self.eps)
