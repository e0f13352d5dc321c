"""Latent convolutional models: our batched training step beside a loop over modules, one latent net an image.

`python -m benchmarks.lcm [--width 0.5] [--threads 2]`

Each runs in a process of its own, as it would train: ours as `zoo train` does, which has the C library keep its memory.
The loop is shown with that as well.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.timing import Row, report, take_turns
from zoo.models.lcm import LCM, phi_count
from zoo.restore.pyramid import reconstruction_loss
from zoo.training.heap import keep_memory

BATCH = 16  # the recipe's
AIM = 5.0
NAMES = {
    "ours": "ours, batched, bf16, channels last",
    "images": "loop over images, float32",
    "images_kept": "the same, memory kept",
    "nets": "loop over latent nets, float32",
}


class LatentNet(nn.Sequential):
    """f_φ of one image as a module, as the authors have it: batch norm with parameters of its own."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        layers: list[nn.Module] = []
        for index, (inside, outside) in enumerate(itertools.pairwise(widths)):
            layers.append(nn.Conv2d(inside, outside, 3, bias=False))
            if index < len(widths) - 2:
                layers.append(nn.BatchNorm2d(outside))
            layers.append(nn.LeakyReLU(0.2))
        super().__init__(*layers)


def batched_step(model: LCM, phi: Tensor, targets: Tensor) -> None:
    """One step on a batch, as `zoo.training.latent` makes it: gradients, and the update of φ."""
    with torch.autocast("cpu", torch.bfloat16):
        images = model(phi)
    reconstruction_loss(images.float(), targets)[0].mean().backward()
    with torch.no_grad():
        phi -= phi.grad  # type: ignore[operator]
        model.project_(phi)
    phi.grad = None
    for parameter in model.parameters():
        parameter.grad = None


def loop_step(model: LCM, nets: list[LatentNet], targets: Tensor) -> None:
    """The same image by image, in float32: forward, backward and update of one latent net after the other."""
    for net, target in zip(nets, targets, strict=True):
        image = model.generator(net(model.s[None]))
        (reconstruction_loss(image.float(), target[None])[0].mean() / len(nets)).backward()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter -= parameter.grad  # type: ignore[operator]
                parameter.clamp_(-0.01, 0.01)
                parameter.grad = None
    for parameter in model.parameters():
        parameter.grad = None


def gathered_step(model: LCM, nets: list[LatentNet], targets: Tensor) -> None:
    """A loop over the latent nets only: their maps are gathered, and the generator runs once, in float32."""
    images = model.generator(torch.cat([net(model.s[None]) for net in nets]))
    reconstruction_loss(images.float(), targets)[0].mean().backward()
    with torch.no_grad():
        for net in nets:
            for parameter in net.parameters():
                parameter -= parameter.grad  # type: ignore[operator]
                parameter.clamp_(-0.01, 0.01)
                parameter.grad = None
    for parameter in model.parameters():
        parameter.grad = None


def stepper(kind: str, width: float) -> Callable[[], None]:
    """One of `NAMES`, ready to be called."""
    torch.manual_seed(0)
    model = LCM(width=width)
    generator = torch.Generator().manual_seed(0)
    targets = torch.rand(BATCH, 3, 128, 128, generator=generator)
    if kind in ("ours", "images_kept"):
        keep_memory()
    if kind == "ours":
        model = model.to(memory_format=torch.channels_last)
        phi = torch.stack([model.start(generator) for _ in range(BATCH)]).requires_grad_()
        return lambda: batched_step(model, phi, targets)
    widths = tuple(model.widths)
    nets = [LatentNet(widths) for _ in range(BATCH)]
    assert sum(p.numel() for m in nets[0] if isinstance(m, nn.Conv2d) for p in m.parameters()) == phi_count(widths)
    step = gathered_step if kind == "nets" else loop_step
    return lambda: step(model, nets, targets)


def serve(pipe: Connection, kind: str, width: float, threads: int) -> None:
    """A step whenever the other end of the pipe asks for one."""
    torch.set_num_threads(threads)
    step = stepper(kind, width)
    while pipe.recv():
        step()
        pipe.send(True)


def main() -> None:
    """Measures all of them in one run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=float, default=0.5, help="of the generator; 1 is the paper's")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    rows, pipes = [], []
    for kind, name in NAMES.items():
        pipe, other = spawn.Pipe()
        spawn.Process(target=serve, args=(other, kind, options.width, options.threads), daemon=True).start()
        pipes.append(pipe)

        def call(pipe: Connection = pipe) -> None:
            pipe.send(True)
            pipe.recv()

        rows.append(Row(name, call, options.rounds))
    take_turns(rows)
    for pipe in pipes:
        pipe.send(False)
    table = report(f"LCM, width {options.width:g}, step on {BATCH} images", rows, {NAMES["images"]: AIM})
    print(f"  ours: {1e3 * rows[0].median / BATCH:.1f} ms an image and step")
    out = Path(__file__).parent / "results" / "lcm.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(
        json.dumps({"torch": torch.__version__, "threads": options.threads, "tables": [table]}, indent=2) + "\n"
    )
    print(f"\nwritten to {out}")


if __name__ == "__main__":
    main()
