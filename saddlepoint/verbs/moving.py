"""Weights from elsewhere and for elsewhere."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from saddlepoint.errors import UsageError
from saddlepoint.training.run import Run
from saddlepoint.verbs.using import load

if TYPE_CHECKING:
    from saddlepoint.weights.exporting import Format


def import_weights(file: str | Path, out: str | Path, *, show: Callable[[str], None] | None = None) -> Run:
    """Make a run folder from a checkpoint of another code, or from a model of ours, without running anything that lies in it.

    Read are NVIDIA's StyleGAN2 pickles (the ADA and StyleGAN3 releases), rosinality's StyleGAN2, BigGAN-PyTorch, pytorch_GAN_zoo's ProGAN and R3GAN;
    and what :func:`export` wrote as safetensors or hub. The run samples, evaluates (``--against DATA``), exports, and starts other runs
    (``--init-from``).

    Args:
        file: the checkpoint; a model folder, or hf:USER/NAME of the Hugging Face hub.
        out: the run folder; must not hold anything.
        show: told what should be known of it, one sentence a call.
    Returns:
        The run.
    Raises:
        UsageError: if there is no such file, or the folder holds something.
        CheckpointError: if the file is damaged, of no code that is known, or refused because it asks for more than values.
    """
    from saddlepoint.weights.importing import import_checkpoint

    by_command = bool(sys.argv) and Path(sys.argv[0]).name in ("saddlepoint", "__main__.py")
    run, notes = import_checkpoint(
        Path(file), Path(out), shlex.join(["saddlepoint", *sys.argv[1:]]) if by_command else "saddlepoint.import_weights(...)"
    )
    for note in [f"{run.about['imported']['family']}, as recipe {run.about['recipe']}.", *notes] if show else ():
        assert show is not None
        show(note)
    return run


def export(
    run: str | Path,
    *,
    format: Format | Literal["hub"] = "onnx",
    out: str | Path | None = None,
    checkpoint: str = "last",
    truncation: float | None = None,
    push: str | None = None,
) -> Path:
    """Write a run's generator (the averaged one where there is one) for other programs; or the whole game as a model folder.

    Args:
        run: the run folder.
        format: "onnx"; "torch", a program that PyTorch runs without this package; "safetensors", the weights by name; "hub", a folder with weights,
            description, samples and a card that carries the scores and their protocols, which :func:`import_weights` reads.
        out: file or folder to write; None: RUN/exports/generator with the format's ending, or RUN/exports/hub. Beside a file lies a .json file that
            says what goes in and comes out.
        checkpoint: "last", "best" or a round.
        truncation: psi of a generator with styles, fixed in the file.
        push: USER/NAME on the Hugging Face hub, where the folder is uploaded too.
    Returns:
        The file or folder.
    Raises:
        UsageError: for a generator that cannot be exported, or where a package is missing.
    """
    from saddlepoint.weights import hub
    from saddlepoint.weights.exporting import ENDINGS, export_run

    game, opened = load(run, checkpoint=checkpoint)
    if format != "hub":
        if push is not None:
            raise UsageError(f"Only --format hub is pushed; it is {format}. Leave --push out.")
        target = opened.folder / "exports" / f"generator{ENDINGS[format]}" if out is None else Path(out)
        return export_run(opened, game, format, target, truncation)
    if push is not None:
        hub.package()  # before anything is written
    if truncation is not None:
        raise UsageError("A model folder holds weights, which have no truncation. Leave --truncation out.")
    folder = hub.write_folder(opened, game, opened.folder / "exports" / "hub" if out is None else Path(out))
    if push is not None:
        hub.push(folder, push)
    return folder
