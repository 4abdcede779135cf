"""A run's generator as a file for other programs: ONNX, PyTorch's exported program, safetensors.

The averaged generator where there is one, as it samples: running or standing statistics, fixed noise, and a truncation that is chosen now. Beside the
file lies FILE.json, which says what goes in, what comes out, and where it comes from.

Axes: n batch, d latent, c channels, h w image, t tokens.
"""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save as save_tensors
from torch import Tensor, nn
from torch.nn import functional as F

from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.game import Game
from saddlepoint.games.growing import GrowingGame
from saddlepoint.games.letters import LetterGame
from saddlepoint.games.standing import StandingGame
from saddlepoint.networks.standing import with_statistics
from saddlepoint.training.run import Run
from saddlepoint.training.storage import refusals, write_bytes, write_json

Format = Literal["onnx", "torch", "safetensors"]
ENDINGS: dict[Format, str] = {"onnx": ".onnx", "torch": ".pt2", "safetensors": ".safetensors"}
SAMPLED = (AdversarialGame.sample, StandingGame.sample, GrowingGame.sample, LetterGame.sample)  # what Portable does likewise
EXAMPLES = 2  # latents that the network is traced with


class Portable(nn.Module):
    """G as other programs call it.

    Args:
        generator: in evaluation mode.
        truncation: psi of a generator with styles; None: none.
        image: whether its samples are images, which are kept in [-1, 1].
        times: images of a generator that still grows are enlarged, each pixel to a square of so many.
        letters: whether its samples are the likeliest token of each place.
    """

    def __init__(self, generator: nn.Module, truncation: float | None, *, image: bool, times: int = 1, letters: bool = False) -> None:
        super().__init__()
        self.generator, self.image, self.times, self.letters = generator, image, times, letters
        self.settings: dict[str, float] = {} if truncation is None else {"truncation": truncation}

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, d] (and labels, int64 [n], where it is told them) to images float [n, c, h, w] in [-1, 1], points [n, d] or tokens [n, t]."""
        x: Tensor = self.generator(z, **self.settings) if labels is None else self.generator(z, labels, **self.settings)
        x = F.interpolate(x, scale_factor=float(self.times), mode="nearest") if self.times > 1 else x
        return x.argmax(1) if self.letters else x.clamp(-1, 1) if self.image else x


def portable(game: Game, truncation: float | None = None, *, image: bool = True) -> Portable:
    """The generator of a game, ready to be exported.

    Raises:
        UsageError: if its samples are not made by one generator from latents, or it cannot be truncated in the file.
    """
    if not isinstance(game, AdversarialGame) or type(game).sample not in SAMPLED or type(game).generate is not AdversarialGame.generate:
        raise UsageError(
            f"Only one generator of latents and classes can be exported to a file; {type(game).__name__} samples in another way. "
            "`--format hub` keeps a whole game, and `saddlepoint sample` or `translate` uses it."
        )
    generator = getattr(game, "generator_ema", game.generator).eval()
    if truncation is not None and getattr(generator, "truncation", None) != "style":
        raise UsageError(
            "This generator is truncated by its latents: feed it normal numbers redrawn until none is above the threshold. Leave --truncation out."
        )
    for module in generator.modules():
        if hasattr(module, "noise_mode"):
            module.noise_mode = "fixed"
    times = 2 ** (game.top - game.stage.level) if isinstance(game, GrowingGame) else 1
    return Portable(generator, truncation, image=image, times=times, letters=isinstance(game, LetterGame))


@contextlib.contextmanager
def _standing(game: Game) -> Iterator[None]:
    """While inside, the statistics of batch normalisation are those that it samples with."""
    if isinstance(game, StandingGame) and game.standing_passes:
        generator = getattr(game, "generator_ema", game.generator)
        with with_statistics(generator, game.statistics(generator, None)):
            yield
    else:
        yield


def examples(game: AdversarialGame) -> tuple[Tensor, ...]:
    """Latents, and labels where the generator is told them."""
    z = torch.zeros(EXAMPLES, game.config.latent_dim, dtype=next(game.parameters()).dtype)
    return (z,) if game.num_classes is None else (z, torch.zeros(EXAMPLES, dtype=torch.int64))


def export_run(run: Run, game: Game, format: Format, out: Path, truncation: float | None = None) -> Path:
    """Write the generator of a run.

    Args:
        run: what it is.
        game: loaded, in the state that is meant.
        format: "onnx" (for onnxruntime and others), "torch" (``torch.export.load(PATH).module()(z)``, without this package) or "safetensors".
        out: file to write.
        truncation: psi, for generators with styles; fixed in the file.
    Returns:
        The file.
    Raises:
        UsageError: for a generator that cannot be exported, or an ending that does not fit the format.
    """
    if out.suffix != ENDINGS[format]:
        raise UsageError(f"The format {format} is written to a file that ends with {ENDINGS[format]}; {out} does not. Change --out or --format.")
    make_room(out)
    network = portable(game, truncation, image=run.about["data"]["kind"] == "image")
    assert isinstance(game, AdversarialGame)
    about = card(run, game, truncation)
    with _standing(game), torch.no_grad():
        if format == "safetensors":
            if truncation is not None:
                raise UsageError("Weights alone have no truncation. Leave --truncation out, or choose --format onnx or torch.")
            tensors = {name: value.detach().contiguous().clone() for name, value in network.generator.state_dict().items()}
            content = save_tensors(tensors, metadata={"format": "pt", "saddlepoint": json.dumps(about)})
        else:
            content = _onnx(network, examples(game)) if format == "onnx" else _torch(network, examples(game))
    write_bytes(out, content)
    write_json(out.with_name(f"{out.name}.json"), about)
    return out


def make_room(out: Path) -> None:
    """Make the folder that a file is written to.

    Raises:
        UsageError: if the file is a folder, or a folder above it a file.
    """
    if out.is_dir():
        raise UsageError(f"{out} is a folder, and a file would be written there. Choose another --out.")
    try:
        with refusals(out):
            out.parent.mkdir(parents=True, exist_ok=True)
    except (NotADirectoryError, FileExistsError):
        raise UsageError(f"{out} cannot be made: one of the folders above it is a file. Choose another --out.") from None


def card(run: Run, game: AdversarialGame, truncation: float | None) -> dict[str, Any]:
    """What the file is, for people and programs."""
    about, config = run.about, game.config
    image = about["data"]["kind"] == "image"
    ranges = {"normal": "standard normal", "uniform": "uniform on [-1, 1]", "unit-uniform": "uniform on [0, 1]"}
    inputs: dict[str, Any] = {"z": {"shape": ["n", config.latent_dim], "type": str(next(game.parameters()).dtype)[6:], "draw": ranges[config.latent]}}
    if game.num_classes is not None:
        names = about["data"]["class_names"] or None
        inputs["labels"] = {"shape": ["n"], "type": "int64", "classes": game.num_classes, "names": names}
    output = {"shape": ["n", *about["data"]["shape"]], "range": [-1, 1] if image else None, "kind": about["data"]["kind"]}
    kept = ("recipe", "title", "paper", "year", "url", "preset", "config", "data", "commit", "imported")
    return {
        "inputs": inputs,
        "output": output,
        "truncation": truncation,
        "ema": hasattr(game, "generator_ema"),
        "round": game.clock.round,
        "images_seen": game.clock.images_seen,
        **{name: about[name] for name in kept if name in about},
    }


def _names(inputs: tuple[Tensor, ...]) -> tuple[str, ...]:
    return ("z", "labels")[: len(inputs)]


def _program(network: Portable, inputs: tuple[Tensor, ...]) -> torch.export.ExportedProgram:
    """The network as a graph that takes any number of samples."""
    batch = {0: torch.export.Dim("n", min=1)}
    return torch.export.export(network, inputs, dynamic_shapes=dict.fromkeys(_names(inputs), batch), strict=False)


def _torch(network: Portable, inputs: tuple[Tensor, ...]) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        torch.export.save(_program(network, inputs), buffer)
    return buffer.getvalue()


def _onnx(network: Portable, inputs: tuple[Tensor, ...]) -> bytes:
    """The bytes of an ONNX file.

    Raises:
        UsageError: without the packages that write it.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise UsageError("Writing ONNX needs the extra onnx: pip install 'saddlepoint[onnx]'. Or choose --format torch.") from None
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of the exporter about itself
        written = torch.onnx.export(_program(network, inputs), input_names=_names(inputs), output_names=["samples"], dynamo=True, verbose=False)
    assert written is not None
    content: bytes = written.model_proto.SerializeToString()
    return content
