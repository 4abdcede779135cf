"""Time whole rounds of this library against public code's own steps, alternating in one run; the public code is yours to fetch.

    python tools/against_public.py dcgan  --public DIR    # DIR/main.py: the DCGAN example of pytorch/examples
    python tools/against_public.py sngan  --public DIR    # DIR: a checkout of kwotsin/mimicry
    python tools/against_public.py wgan-gp --public DIR   # likewise
    python tools/against_public.py progan --public DIR    # DIR: a checkout of facebookresearch/pytorch_GAN_zoo; against_progan.py says more
    python tools/against_public.py r3gan  --public DIR    # DIR: a checkout of brownvc/R3GAN; against_r3gan.py says more
    python tools/against_public.py ada-32 --public DIR    # DIR: a checkout of NVlabs/stylegan2-ada-pytorch; against_ada.py says more
    python tools/against_public.py stylegan2 --public DIR # DIR: a checkout of NVlabs/stylegan2-ada-pytorch; against_stylegan2.py says more
    python tools/against_public.py biggan --public DIR    # DIR: a checkout of ajbrock/BigGAN-PyTorch; against_biggan.py says more
    python tools/against_public.py pix2pix --public DIR   # or cyclegan; DIR: a checkout of junyanz/pytorch-CycleGAN-and-pix2pix
    python tools/against_public.py seqgan --public DIR    # DIR: a checkout of williamSYSU/TextGAN-PyTorch; against_sequences.py says more
    python tools/against_public.py pixelcnn --public DIR  # DIR: a checkout of ritheshkumar95/pytorch-vqvae; against_pixels.py says more

Each side is a process of its own, so that neither's memory or threads disturb the other; a line is one round of each. Widths, batch, optimiser and
turns are the public code's: DCGAN 64x64x3, z 100, widths 64, batch 64, fakes shared; SNGAN and WGAN-GP 32x32x3, batch 64, five D turns and one G
turn, Adam 2e-4 (0, 0.9). Ours is a round of the engine, with its reading, drawing and logging. --cpu-seconds counts the process's own seconds
in one thread, for a machine that does other things too. Without it each pair says whether the two processors shared a cache just after it
(saddlepoint.studies.ceiling.handover): on a virtual machine that changes from one second to the next.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

Turn = Callable[[], float | None]  # what the time is to be multiplied by, where a side does only a part of its work
BATCH = 64
ELSEWHERE = {  # files with public(case, checkout) and ours(case)
    "progan": "against_progan",
    "progan-plain": "against_progan",
    "r3gan": "against_r3gan",
    "ada-32": "against_ada",
    "ada-64": "against_ada",
    "ada-256": "against_ada",
    "ada-all": "against_ada",
    "stylegan2": "against_stylegan2",
    "stylegan2-cycle": "against_stylegan2",
    "stylegan2-round": "against_stylegan2",
    "stylegan2-path": "against_stylegan2",
    "stylegan2-both": "against_stylegan2",
    "stylegan2-sample": "against_stylegan2",
    "stylegan2-unfused": "against_stylegan2",
    "biggan": "against_biggan",
    "biggan-shared": "against_biggan",
    "pix2pix": "against_translation",
    "cyclegan": "against_translation",
    "seqgan": "against_sequences",
    "seqgan-generator": "against_sequences",
    "pixelcnn": "against_pixels",
    "pixelcnn-digits": "against_pixels",
}
CYCLES = ("stylegan2-cycle",)  # a file's CYCLE names the kinds of round measured, its SHARES how many of each there are


class Silent:
    """Stands for mimicry's log."""

    def add_metric(self, *arguments: Any, **keywords: Any) -> None:
        """Keep nothing."""


def mimicry(case: str, checkout: Path) -> Turn:
    """Five of its D.train_step and one of its G.train_step on random images."""
    for name in ("torch_mimicry", "torch_mimicry.nets", "torch_mimicry.training"):  # without the imports of its package files
        module = types.ModuleType(name)
        module.__path__ = [str(checkout / name.replace(".", "/"))]
        sys.modules[name] = module
    sys.path.insert(0, str(checkout))
    family, prefix = ("sngan", "SNGAN") if case == "sngan" else ("wgan_gp", "WGANGP")
    nets = importlib.import_module(f"torch_mimicry.nets.{family}.{family}_32")
    generator, discriminator = getattr(nets, f"{prefix}Generator32")(), getattr(nets, f"{prefix}Discriminator32")()
    adam = {side: torch.optim.Adam(net.parameters(), 2e-4, betas=(0.0, 0.9)) for side, net in (("G", generator), ("D", discriminator))}
    images = [(torch.rand(BATCH, 3, 32, 32) * 2 - 1, torch.zeros(BATCH, dtype=torch.long)) for _ in range(5)]
    common = {"log_data": Silent(), "device": torch.device("cpu"), "global_step": 0}

    def play() -> None:
        for batch in images:
            discriminator.train_step(real_batch=batch, netG=generator, optD=adam["D"], **common)
        generator.train_step(real_batch=images[-1], netD=discriminator, optG=adam["G"], **common)

    return play


def example(checkout: Path) -> Turn:
    """The networks of the example's main.py, and its loop's body retold: two D passes, the fakes made once, four .item() for its log."""
    text = (checkout / "main.py").read_text()
    body = text[text.index("# custom weights") : text.index("criterion = ")]
    for given in ("netG", "netD"):
        body = body.replace(f"if opt.{given} != '':", "if False:")
    names: dict[str, Any] = {"torch": torch, "nn": nn, "nz": 100, "ngf": 64, "ndf": 64, "nc": 3, "ngpu": 1, "device": torch.device("cpu")}
    exec(body.replace("print(", "(lambda *x: None)("), names)
    generator, discriminator, criterion = names["netG"], names["netD"], nn.BCELoss()
    move_d, move_g = (torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (discriminator, generator))
    real, one, zero = torch.rand(BATCH, 3, 64, 64) * 2 - 1, torch.ones(BATCH), torch.zeros(BATCH)

    def judge(x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        output = discriminator(x).view(-1)
        loss: torch.Tensor = criterion(output, target)
        loss.backward()
        output.mean().item()
        return loss

    def play() -> None:
        discriminator.zero_grad()
        on_real = judge(real, one)
        fake = generator(torch.randn(BATCH, 100, 1, 1))
        (on_real + judge(fake.detach(), zero)).item()
        move_d.step()
        generator.zero_grad()
        judge(fake, one)
        move_g.step()

    return play


def ours(case: str) -> Turn:
    """A round of the engine on random images."""
    from saddlepoint.data.arrays import ArrayDataset
    from saddlepoint.data.records import DataSpec
    from saddlepoint.games.adversarial import AdversarialConfig, AdversarialGame
    from saddlepoint.games.player import Adam
    from saddlepoint.games.terms import GradientPenalty
    from saddlepoint.networks.dcgan import DCGANDiscriminator, DCGANGenerator
    from saddlepoint.networks.resnet import ResNetDiscriminator, ResNetGenerator
    from saddlepoint.objectives.hinge import Hinge
    from saddlepoint.objectives.minimax import NonSaturating
    from saddlepoint.objectives.wasserstein import Wasserstein
    from saddlepoint.training.logbook import Logbook
    from saddlepoint.training.machine import start_fabric
    from saddlepoint.training.trainer import Trainer, TrainerConfig

    shape = (3, 64, 64) if case == "dcgan" else (3, 32, 32)
    spec = DataSpec(name="random", kind="image", shape=shape, num_records=1000)
    data = ArrayDataset({"image": torch.randint(0, 256, (1000, *shape), dtype=torch.uint8)}, spec)
    game: AdversarialGame
    if case == "dcgan":
        game = AdversarialGame(
            AdversarialConfig(batch=BATCH, share_fakes=True), DCGANGenerator(100, shape), DCGANDiscriminator(shape), NonSaturating()
        )
    else:
        adam = Adam(lr=2e-4, beta1=0.0, beta2=0.9)
        config = AdversarialConfig(batch=BATCH, latent_dim=128, d_steps=5, generator_optimizer=adam, discriminator_optimizer=adam)
        generator = ResNetGenerator("sngan-32", shape)
        discriminator = ResNetDiscriminator("sngan-32" if case == "sngan" else "wgan-gp-32", shape)
        terms = [] if case == "sngan" else [GradientPenalty(10.0)]
        game = AdversarialGame(config, generator, discriminator, Hinge() if case == "sngan" else Wasserstein(), terms=terms)
    book = Logbook(20)
    trainer = Trainer(game, data, TrainerConfig(batch=BATCH), start_fabric("cpu"), record=book.add)

    def play() -> None:
        trainer.play_round()
        if game.clock.round % 20 == 0:
            book.drain("")
            book.record()

    return play


def work(side: str, given: argparse.Namespace) -> None:
    """One side: a round for every line that comes in, its seconds out."""
    torch.set_num_threads(1 if given.cpu_seconds else torch.get_num_threads())
    torch.manual_seed(0)
    if given.case in ELSEWHERE:
        cases = importlib.import_module(ELSEWHERE[given.case])
        play: Turn = cases.ours(given.case) if side == "ours" else cases.public(given.case, given.public)
    else:
        play = ours(given.case) if side == "ours" else example(given.public) if given.case == "dcgan" else mimicry(given.case, given.public)
    clock = time.process_time if given.cpu_seconds else time.perf_counter
    for _ in sys.stdin:
        start = clock()
        share = play()
        print((clock() - start) * (share or 1.0), flush=True)


def ask(side: subprocess.Popen[str]) -> float:
    """Seconds of one round of a side."""
    assert side.stdin is not None and side.stdout is not None
    side.stdin.write("\n")
    side.stdin.flush()
    return float(side.stdout.readline())


def distance() -> str:
    """How far apart the two processors are just now."""
    from saddlepoint.studies.ceiling import handover

    found = handover()
    return "not two" if found is None else f"{'near' if found < 2 else 'distant'} ({found:.1f})"


def main() -> None:
    """Alternate the two sides and print every pair and the median of their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=["dcgan", "sngan", "wgan-gp", *ELSEWHERE])
    parser.add_argument("--public", type=Path, required=True, help="folder of the public code")
    parser.add_argument("--rounds", type=int, default=5, help="pairs, after one round of each that is not counted")
    parser.add_argument("--cpu-seconds", action="store_true", help="one thread, the process's own seconds")
    parser.add_argument("--side", choices=["ours", "public"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        work(given.side, given)
        return
    command = [sys.executable, "-W", "ignore", __file__, *sys.argv[1:], "--side"]
    sides = [subprocess.Popen([*command, side], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for side in ("public", "ours")]
    cycle = importlib.import_module(ELSEWHERE[given.case]) if given.case in CYCLES else None
    warm, kinds = (len(cycle.SHARES), cycle.CYCLE) if cycle else (1, [given.case] * given.rounds)
    measured: dict[str, list[tuple[float, float]]] = {}
    for kind in (*[""] * warm, *kinds):
        seconds = [ask(side) for side in sides]
        if kind:
            measured.setdefault(kind, []).append((seconds[0], seconds[1]))
            near = "" if given.cpu_seconds else f"; threads {distance()}"
            print(f"{kind}: public {seconds[0]:.2f} s, ours {seconds[1]:.2f} s, {seconds[0] / seconds[1]:.2f} times{near}", flush=True)
    for side in sides:
        side.communicate()
    for kind, pairs in measured.items():
        ratios = [public / ours for public, ours in pairs]
        print(f"{kind}: {statistics.median(ratios):.2f} times (least {min(ratios):.2f}, most {max(ratios):.2f}); torch {torch.__version__}")
    if cycle:
        shares = cycle.SHARES.items()
        public, ours = (sum(share * statistics.median(pair[side] for pair in measured[kind]) for kind, share in shares) for side in (0, 1))
        print(f"{given.case}: public {public:.1f} s, ours {ours:.1f} s, {public / ours:.2f} times")


if __name__ == "__main__":
    main()
