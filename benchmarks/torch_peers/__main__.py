"""The benchmark's workloads in PyTorch, to race: prints a JSON line for each.

    python -m venv .venv-peer
    .venv-peer/bin/pip install -r benchmarks/requirements.txt
    .venv-peer/bin/python benchmarks/torch_peers [--workload NAME ...] [--device cuda] [--compile]

A step draws a batch from an array in memory, draws noise, and moves every network by Adam in one fused kernel. Images
have their channels last. With --compile the networks are wrapped in torch.compile. `scripts/benchmark.py
--peer_command` runs this in turns with this project.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import diffusion
import gan
import modern
import torch
import vae

WORKLOADS = vae.WORKLOADS | gan.WORKLOADS | modern.WORKLOADS | diffusion.WORKLOADS
SIDE, WARM = 2_048, 5


def timed(work: Callable[[], object], times: int, device: str) -> float:
    """Seconds of one of so many calls."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else (lambda: None)
    wait()
    start = time.perf_counter()
    for _ in range(times):
        work()
    wait()
    return (time.perf_counter() - start) / times


def matmul_peak(device: str) -> float:
    """FLOP/s of a product of square float32 matrices: the median of ten."""
    a = torch.randn(SIDE, SIDE, device=device)
    timed(lambda: a @ a, 2, device)
    return 2 * SIDE**3 / statistics.median(timed(lambda: a @ a, 1, device) for _ in range(10))


def row(name: str, device: str, compiled: bool, seconds: float, repeats: int) -> dict:
    """The median of blocks of about so many seconds."""
    peer = WORKLOADS[name](device, compiled)
    timed(peer.step, WARM, device)
    n = max(3, round(seconds / timed(peer.step, 2, device)))
    step = statistics.median(timed(peer.step, n, device) for _ in range(repeats))
    return {"workload": name, "variant": "compile" if compiled else "eager", "ms_per_step": float(f"{1e3 * step:.4g}"),
            "images_per_s": float(f"{peer.batch / step:.4g}"), "peak_flops": matmul_peak(device)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", nargs="*", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="wrap the networks in torch.compile")
    parser.add_argument("--seconds", type=float, default=3.0, help="about how long one block takes")
    parser.add_argument("--repeats", type=int, default=5, help="blocks; the figure is their median")
    flags = parser.parse_args()
    torch.manual_seed(0)
    for name in flags.workload:
        print(json.dumps(row(name, flags.device, flags.compile, flags.seconds, flags.repeats)), flush=True)


if __name__ == "__main__":
    main()
