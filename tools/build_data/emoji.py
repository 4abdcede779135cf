"""Make the shipped emoji files: one lossless sheet of Noto emoji at 64 pixels, and a table of their names, groups and keywords.

    python tools/build_data/emoji.py DATASOURCE EMOJILIB [OUT]

DATASOURCE is the unpacked npm package emoji-datasource-google 16.0.0 (Noto Emoji 2.048), EMOJILIB that of emojilib 4.0.3; OUT is
saddlepoint/data/files unless given. Skin-tone variants are left out, and so are the five bare swatches of skin tone (category "Component").
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

OUT = Path(__file__).resolve().parents[2] / "saddlepoint" / "data" / "files"
SIDE = 64
COLUMNS = 44


def table(datasource: Path, emojilib: Path) -> list[dict[str, Any]]:
    """One entry an emoji in Unicode's order: character, file, CLDR short name, group, subgroup, keywords."""
    keywords = json.loads((emojilib / "dist" / "emoji-en-US.json").read_text("utf-8"))
    entries = []
    for emoji in sorted(json.loads((datasource / "emoji.json").read_text("utf-8")), key=lambda emoji: int(emoji["sort_order"])):
        if emoji["category"] == "Component":
            continue
        character = "".join(chr(int(code, 16)) for code in emoji["unified"].split("-"))
        name, *words = (word.replace("_", " ").strip() for word in keywords[character])  # the first word is the name
        if name == "keycap":  # of # and *, whose signs were lost
            name = f"keycap {character[0]}"
        entries.append(
            {
                "character": character,
                "file": emoji["image"],
                "name": name,
                "group": emoji["category"],
                "subgroup": emoji["subcategory"],
                "keywords": list(dict.fromkeys(words)),
            }
        )
    return entries


def sheet(files: list[Path]) -> bytes:
    """Lossless WebP of all images in rows of COLUMNS, RGBA; fully transparent pixels are set to 0, so that they cost nothing."""
    rows = -(-len(files) // COLUMNS)
    tiles = np.zeros((rows * COLUMNS, SIDE, SIDE, 4), np.uint8)
    for i, file in enumerate(files):
        with Image.open(file) as image:
            assert image.size == (SIDE, SIDE), f"{file} is {image.size}"
            tiles[i] = np.asarray(image.convert("RGBA"))
    tiles[tiles[..., 3] == 0] = 0
    whole = tiles.reshape(rows, COLUMNS, SIDE, SIDE, 4).transpose(0, 2, 1, 3, 4).reshape(rows * SIDE, COLUMNS * SIDE, 4)
    buffer = io.BytesIO()
    Image.fromarray(whole).save(buffer, "WEBP", lossless=True, exact=True, quality=100, method=6)
    with Image.open(buffer) as back:
        assert np.array_equal(np.asarray(back), whole), "the sheet does not decode to what was put in"
    return buffer.getvalue()


def main(datasource: Path, emojilib: Path, out: Path) -> None:
    """Write sheet and table."""
    entries = table(datasource, emojilib)
    images = sheet([datasource / "img" / "google" / str(SIDE) / entry.pop("file") for entry in entries])
    out.mkdir(parents=True, exist_ok=True)
    for name, data in (("emoji.webp", images), ("emoji.json", lines(entries))):
        (out / name).write_bytes(data)
        sys.stdout.write(f"{hashlib.sha256(data).hexdigest()}  {name}  {len(data)} bytes\n")


def lines(entries: list[dict[str, Any]]) -> bytes:
    """The table as JSON, one entry a line."""
    return ("[\n" + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n]\n").encode()


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) == 4 else OUT)
