"""Which picture goes where: one rule for every verb that reads pictures and writes pictures."""

from __future__ import annotations

from pathlib import Path

from ..images import SUFFIXES


def pairs(inputs: list[Path], output: Path | None, ending: str) -> list[tuple[Path, Path]]:
    """Sources and the PNG files to write.

    Args:
        inputs: Picture files, or one folder.
        output: File for one picture, else a folder; None: next to each input, with `ending` in the name.
        ending: Such as "_denoised".

    Raises:
        ValueError: nothing to do, or an output that would overwrite an input.
        FileNotFoundError: an input is not there.
    """
    folder = len(inputs) == 1 and inputs[0].is_dir()
    if folder:
        sources = sorted(p for p in inputs[0].iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES)
        if not sources:
            raise ValueError(f"{inputs[0]}: no pictures in this folder ({', '.join(SUFFIXES)})")
        output = output or inputs[0].with_name(f"{inputs[0].resolve().name}{ending}")
    else:
        sources = inputs
        for source in sources:
            if source.is_dir():
                raise ValueError(f"{source}: a folder goes alone, not among other inputs")
            if not source.exists():
                raise FileNotFoundError(f"{source}: no such file")
    if output is None:
        targets = [source.with_name(f"{source.stem}{ending}.png") for source in sources]
    elif folder or len(sources) > 1 or output.is_dir():
        if output.exists() and not output.is_dir():
            raise ValueError(f"{output}: must be a folder, there are {len(sources)} pictures to write")
        targets = [output / f"{source.stem}.png" for source in sources]
    else:
        if output.suffix.lower() != ".png":
            raise ValueError(f"{output}: results are written as lossless .png, name the output so")
        targets = [output]
    _check(sources, targets)
    return list(zip(sources, targets, strict=True))


def _check(sources: list[Path], targets: list[Path]) -> None:
    taken = {source.resolve() for source in sources}
    for target in targets:
        if target.resolve() in taken:
            raise ValueError(f"{target}: would overwrite an input; choose another output with -o")
    twice = {target for target in targets if targets.count(target) > 1}
    if twice:
        raise ValueError(f"{', '.join(map(str, sorted(twice)))}: several inputs would be written to the same file")
