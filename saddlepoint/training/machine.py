"""The machine a run is on: device, processes, versions."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import psutil
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from saddlepoint.errors import UsageError

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["32-true", "bf16-mixed", "64-true"]
Asked = Literal["auto", "32-true", "bf16-mixed", "64-true"]


def pick_device(device: str) -> str:
    """Resolve "auto" to the best device there is.

    Raises:
        UsageError: for a device this machine lacks.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there.get(device, False):
        found = ", ".join(name for name, yes in there.items() if yes)
        raise UsageError(f"The device {device!r} was asked for; this machine has {found}. Choose one of them or auto.")
    return device


def pick_precision(precision: Asked, device: str) -> Precision:
    """Resolve "auto": bfloat16 where the device computes in it, otherwise float32.

    >>> pick_precision("auto", "cpu")
    '32-true'
    """
    if precision != "auto":
        return precision
    return "bf16-mixed" if pick_device(device) == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"


def keep_large_allocations() -> None:
    """Let glibc keep the memory of freed tensors instead of giving each large one back to the kernel.

    A fresh page costs a fault: 9 to 14 percent of a convolutional round on a CPU, against 4 to 14 percent more memory (docs/performance.md).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def start_fabric(device: str = "auto", precision: Precision = "32-true") -> Fabric:
    """Launch Lightning Fabric: one process, or the group that torchrun or SLURM started."""
    accelerator = pick_device(device)
    if accelerator == "cpu":
        keep_large_allocations()
    torch.set_float32_matmul_precision("high")
    processes, nodes = started_by(os.environ)
    if processes * nodes == 1:
        fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)
    else:
        backend = "nccl" if accelerator == "cuda" else "gloo"
        if nodes == 1 and "lo" in psutil.net_if_addrs():  # gloo would listen on the network otherwise
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        strategy = DDPStrategy(process_group_backend=backend)
        fabric = Fabric(accelerator=accelerator, devices=processes, num_nodes=nodes, strategy=strategy, precision=precision)
    fabric.launch()
    return fabric


def started_by(environment: Mapping[str, str]) -> tuple[int, int]:
    """Processes on each machine, and machines, as torchrun or SLURM's srun started them.

    Raises:
        UsageError: where SLURM was not told how many processes each machine has.

    >>> started_by({"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}), started_by({})
    ((4, 2), (1, 1))
    """
    if "LOCAL_WORLD_SIZE" in environment:
        processes = int(environment["LOCAL_WORLD_SIZE"])
        return processes, int(environment["WORLD_SIZE"]) // processes
    if "SLURM_PROCID" not in environment or environment.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return 1, 1
    tasks, nodes = int(environment.get("SLURM_NTASKS", "1")), int(environment.get("SLURM_NNODES", "1"))
    if tasks > 1 and "SLURM_NTASKS_PER_NODE" not in environment:
        raise UsageError(f"SLURM started {tasks} tasks with --ntasks; the number on each machine is needed. Use --ntasks-per-node.")
    return int(environment.get("SLURM_NTASKS_PER_NODE", "1")), nodes


def hardware() -> str:
    """One line about the processor and memory."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()} x{torch.cuda.device_count()}"
    memory = psutil.virtual_memory().total / 2**30
    return f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Versions of what computes the result."""
    names = ("torch", "torchvision", "lightning-fabric", "numpy", "safetensors", "pillow")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


def commit() -> str:
    """Commit of the source tree that runs, with + where it was changed; empty for an installed package."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return ""
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty=+", "--abbrev=12"], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip()
