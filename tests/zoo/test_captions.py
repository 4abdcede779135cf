"""Images of captions: the data, the encoders, the games, the networks, and sampling by caption."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import saddlepoint
from saddlepoint.data.records import Batch
from saddlepoint.data.sentences import LettersEncoder, SentenceTransformer
from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws
from saddlepoint.errors import DataError, UsageError
from saddlepoint.games.captions import ConditioningKL, Mismatched
from saddlepoint.networks.captioned import Augmentation, ReedDiscriminator, ReedGenerator, conditioning_kl
from saddlepoint.networks.stackgan import StackDiscriminator, StackGenerator
from saddlepoint.objectives.matching import MatchingAware
from saddlepoint.studies.captions import main
from saddlepoint.zoo.catalogue import find_recipe

SMALL: dict[str, Any] = {"resolution": 16, "width": 4, "batch": 8, "device": "cpu"}


def test_captions_are_made_of_names_and_read_once(tmp_path: Path) -> None:
    data = open_data("captions:emoji", resolution=16)
    assert data.spec.shapes["caption"] == (256,)
    row = data.names.index("red heart")
    assert data.captions[row] == "red heart"
    vectors = data.column("caption")
    assert torch.allclose(vectors.norm(dim=1), torch.ones(len(data)), atol=1e-5)
    nearest = (vectors @ LettersEncoder().embed(["red heart"])[0]).argsort(descending=True)[:5].tolist()
    assert row in nearest
    part = open_data("captions:emoji:test", resolution=16)
    assert len(part) == len(open_data("emoji:test", resolution=16))
    np.save(tmp_path / "a.npy", np.zeros((4, 8, 8), np.uint8))
    with pytest.raises(DataError, match="4 of 4 images have neither a caption nor a name of words"):
        open_data(f"captions:{tmp_path / 'a.npy'}")


def test_a_sentence_transformer_is_read_from_a_folder(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    with pytest.raises(DataError, match=r"config.json, tokenizer.json, model.safetensors is missing"):
        SentenceTransformer(tmp_path)
    words = ["[PAD]", "[UNK]", "a", "red", "heart"]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: k for k, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    config = {"model_type": "bert", "hidden_act": "gelu", "num_attention_heads": 2, "num_hidden_layers": 1, "layer_norm_eps": 1e-12, "hidden_size": 8}
    (tmp_path / "config.json").write_text(json.dumps(config | {"pad_token_id": 0}))
    rng = torch.Generator().manual_seed(0)
    shapes: dict[str, tuple[int, ...]] = {
        f"embeddings.{name}.weight": (n, 8) for name, n in (("word_embeddings", 5), ("position_embeddings", 512), ("token_type_embeddings", 2))
    }
    linear = {"attention.self.query": (8, 8), "attention.self.key": (8, 8), "attention.self.value": (8, 8), "attention.output.dense": (8, 8)}
    linear |= {"intermediate.dense": (16, 8), "output.dense": (8, 16)}
    for name, shape in linear.items():
        shapes |= {f"encoder.layer.0.{name}.weight": shape, f"encoder.layer.0.{name}.bias": shape[:1]}
    for name in ("embeddings.LayerNorm", "encoder.layer.0.attention.output.LayerNorm", "encoder.layer.0.output.LayerNorm"):
        shapes |= {f"{name}.weight": (8,), f"{name}.bias": (8,)}
    save_file({name: torch.randn(shape, generator=rng) for name, shape in shapes.items()}, str(tmp_path / "model.safetensors"))
    encoder = SentenceTransformer(tmp_path)
    alone, among = encoder.embed(["a red"])[0], encoder.embed(["a red", "a red heart a red"])[0]
    assert torch.allclose(alone, among, atol=1e-6)  # padding is not seen
    assert abs(float(alone.norm()) - 1) < 1e-6
    with pytest.raises(UsageError, match="up to 256 tokens; one of 300 came"):
        encoder.embed(["red " * 300])


def test_a_long_caption_is_refused() -> None:
    with pytest.raises(UsageError, match="up to 64 words; one of 65 came"):
        LettersEncoder().embed(["word " * 65])


def test_the_networks_of_the_released_code() -> None:
    generator, discriminator = ReedGenerator((3, 64, 64), 1024), ReedDiscriminator((3, 64, 64), 1024)
    assert generator.first.weight.shape == (16 * 1024, 228)
    convolutions = [tuple(p.shape) for p in generator.layers.parameters() if p.ndim == 4]
    assert convolutions[0] == (1024, 512, 4, 4)
    assert convolutions[-1] == (128, 3, 4, 4)
    down = [tuple(p.shape) for p in discriminator.layers.parameters() if p.ndim == 4]
    assert [shape[0] for shape in down[:4]] == [64, 128, 256, 512]
    assert discriminator.joint[0].weight.shape == (512, 640, 1, 1)
    stack = StackGenerator((3, 256, 256), 1024)
    assert (stack.first.first.weight.shape, stack.scale) == ((16 * 1024, 228), 4)
    assert [p.shape[0] for p in stack.second.up.parameters() if p.ndim == 4] == [256, 128, 64, 32, 3]
    judge = StackDiscriminator((3, 256, 256), 1024)
    assert [p.shape[0] for p in judge.second.layers.parameters() if p.ndim == 4][:6] == [64, 128, 256, 512, 1024, 2048]


def game(name: str, **changes: Any) -> tuple[Any, Any]:
    recipe, data = find_recipe(name), open_data("captions:emoji", resolution=16)
    preset: Any = recipe.preset("small")
    torch.manual_seed(0)
    config = dataclasses.replace(preset, resolution=16, width=4, batch=6, **changes)
    return recipe.game(config, data), data


def batch_of(data: Any, n: int = 6) -> Batch:
    rows = torch.arange(n)
    records = data.records(rows)
    return Batch({"image": records["image"].float() / 127.5 - 1, "caption": records["caption"], "index": rows})


def test_the_losses_by_hand() -> None:
    played, data = game("gan-cls", interpolate=True)
    played.draws = Draws.seeded(0)
    batch = batch_of(data)
    loss = played.discriminator_turn.loss(batch)
    assert {"adversarial", "mismatched"} <= set(loss.terms)
    real, fake = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 0.0])
    wanted = torch.log1p(torch.exp(-real)) + 0.5 * torch.log1p(torch.exp(fake))
    assert torch.allclose(MatchingAware().discriminator(real, fake), wanted)
    x, captions = played._fakes_for_generator(6)
    assert (len(x), len(captions)) == (9, 9)
    lengths = captions.norm(dim=1)
    assert (lengths[:6] - 1).abs().max() < 1e-5
    assert lengths[6:].max() < 1 - 1e-3  # between two


def test_a_mismatched_caption_is_never_the_own() -> None:
    played, data = game("gan-cls")
    term = next(term for term in played.terms if isinstance(term, Mismatched))
    seen: list[torch.Tensor] = []

    class Judged:
        logits = torch.zeros(6)

    scene: Any = type("S", (), {})()
    scene.x_real, scene.batch, scene.watched = torch.zeros(6, 3, 16, 16), batch_of(data), {}

    def judge(x: torch.Tensor, captions: torch.Tensor) -> type[Judged]:
        seen.append(captions)
        return Judged

    scene.judge = judge
    for k in range(20):
        scene.draws = Draws.seeded(k)
        assert abs(float(term(scene)) - 0.5 * 0.693147) < 1e-5
    own = data.column("caption")[:6]
    assert all((captions != own).any(1).all() for captions in seen)


def test_conditioning_augmentation_and_its_divergence() -> None:
    augmentation = Augmentation(8, 4)
    captions = torch.randn(5, 8)
    mean, log_std = augmentation.moments(captions)
    kl = torch.distributions.kl_divergence(torch.distributions.Normal(mean, log_std.exp()), torch.distributions.Normal(0.0, 1.0)).mean(1)
    assert torch.allclose(conditioning_kl(mean, log_std), kl, atol=1e-5)
    still = Augmentation(8, 4, drawn=False)
    assert torch.equal(still(captions), still.moments(captions)[0])
    assert not torch.equal(augmentation(captions), mean)


def test_two_stages_follow_one_another(make: Any, play: Any) -> None:
    data = open_data("captions:emoji", resolution=32)
    built, config, prepared = make("stackgan", "small", data, resolution=32, width=4, batch=6, rounds=4)
    assert [phase.name for phase in built.phases] == ["stage I", "stage II"]
    assert any(isinstance(term, ConditioningKL) for term in built.terms)
    with play(built, config, prepared) as playing:
        playing.rounds(2)
        assert built.sample(2, Draws.seeded(0)).shape == (2, 3, 32, 32)
        first = {name: value.clone() for name, value in built.generator.first.state_dict().items()}
        playing.rounds(2)
        assert all(torch.equal(value, first[name]) for name, value in built.generator.first.state_dict().items())
        assert [float(values["discriminator/stage"]) for values in playing.log if "discriminator/stage" in values] == [1.0, 1.0, 2.0, 2.0]


def test_samples_of_a_caption_and_between_two(tmp_path: Path) -> None:
    run = saddlepoint.train("gan-cls", data="captions:emoji", steps=2, out=tmp_path / "run", **SMALL)
    one = saddlepoint.sample(run.folder, num=3, caption="a red heart")
    other = saddlepoint.sample(run.folder, num=3, caption="a blue car")
    assert one.shape == (3, 3, 16, 16)
    assert not torch.equal(one, other)
    way = saddlepoint.sample(run.folder, num=5, caption=("a red heart", "a blue car"), out=tmp_path / "way.png")
    assert len({tuple(image.flatten().tolist()) for image in way}) > 1
    assert (tmp_path / "way.png").exists()
    with pytest.raises(UsageError, match="One caption, or two"):
        saddlepoint.sample(run.folder, num=1, caption=" ")
    plain = saddlepoint.train("dcgan", data="digits", steps=1, out=tmp_path / "plain", **SMALL)
    with pytest.raises(UsageError, match="dcgan is told no captions"):
        saddlepoint.sample(plain.folder, num=1, caption="seven")


def test_the_study_goes_on_where_it_was(tmp_path: Path) -> None:
    flags = ["--rounds", "1", "--width", "4", "--resolution", "16", "--seeds", "1", "--arms", "plain", "cls", "--extractor", "quick"]
    flags += ["--keep", str(tmp_path / "kept"), "--out", str(tmp_path / "table.md")]
    assert main(flags) == 0
    kept = (tmp_path / "kept" / "runs.jsonl").read_bytes()
    assert main(flags) == 0
    assert (tmp_path / "kept" / "runs.jsonl").read_bytes() == kept
    lines = (tmp_path / "table.md").read_text(encoding="utf-8").splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["*real images*", "GAN", "GAN-CLS"]


def test_attributes_become_captions_and_are_judged(tmp_path: Path) -> None:
    data = open_data("captions:faces", resolution=16)
    assert list(data.captions[:2]) == [
        ", ".join(name.replace("-", " ") for name, on in zip(data.attribute_names, row, strict=True) if on)
        for row in data.column("attributes")[:2].tolist()
    ]
    assert len(set(data.captions)) == 96  # three colours of hair, five others
    flags = [
        "--data",
        "captions:faces",
        "--rounds",
        "1",
        "--width",
        "4",
        "--resolution",
        "16",
        "--seeds",
        "1",
        "--arms",
        "cls",
        "--extractor",
        "pixels",
    ]
    flags += ["--lr", "1e-3", "--ridge", "0.1", "--keep", str(tmp_path / "kept"), "--picture", str(tmp_path / "faces.png")]
    assert main([*flags, "--out", str(tmp_path / "table.md")]) == 0
    head, _, real, cls = (tmp_path / "table.md").read_text(encoding="utf-8").splitlines()
    assert [name.strip() for name in head.split("|")[2:-2]] == ["R-precision", "with another's caption", "attributes right", "of another's caption"]
    assert float(real.split("|")[2]) > 0.9 and float(real.split("|")[4]) > 0.95, "drawn faces are read from their pixels"
    assert cls.startswith("| GAN-CLS |") and (tmp_path / "faces.png").stat().st_size > 1000
