"""Make the shipped Fashion-MNIST files from the original test file: the same bytes inside, packed smaller.

    python tools/build_data/fashion.py FOLDER [OUT]

FOLDER holds t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz (github.com/zalandoresearch/fashion-mnist, or
/usr/share/datasets/fashion-mnist of Debian's package dataset-fashion-mnist); OUT is saddlepoint/data/files unless given.
The unpacked bytes must be the known ones, or nothing is written.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import sys
from pathlib import Path

OUT = Path(__file__).resolve().parents[2] / "saddlepoint" / "data" / "files"
ORIGINALS = {  # original file: (file made of it, SHA-256 of the bytes inside)
    "t10k-images-idx3-ubyte.gz": ("fashion-images.idx.xz", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    "t10k-labels-idx1-ubyte.gz": ("fashion-labels.idx.xz", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
}


def main(source: Path, out: Path) -> None:
    """Check the originals, then write both packed files."""
    contents = {}
    for original, (packed, known) in ORIGINALS.items():
        raw = gzip.decompress((source / original).read_bytes())
        found = hashlib.sha256(raw).hexdigest()
        if found != known:
            sys.exit(f"{source / original} is not the original: its content has SHA-256 {found}, expected {known}.")
        contents[packed] = lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)
    out.mkdir(parents=True, exist_ok=True)
    for packed, data in contents.items():
        (out / packed).write_bytes(data)
        sys.stdout.write(f"{hashlib.sha256(data).hexdigest()}  {packed}  {len(data)} bytes\n")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else OUT)
