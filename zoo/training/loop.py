"""The training loop: one for all recipes, on the CPU, a GPU, or several processes started by `accelerate launch`."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from .checkpoint import read_checkpoint, save_checkpoint
from .clock import ActiveClock, processor_time
from .log import Log
from .objective import Moment, Objective, Start, make_objective
from .recipe import Recipe
from .signals import stop_on_signals
from .start import autocast, changes, make_optimiser, start_from

LOG_SECONDS = 10.0


@dataclass(frozen=True)
class Progress:
    """What `train` yields: after the steps it logs, after each validation, and at the end."""

    step: int
    fraction: float
    """Of the budget."""
    seconds: float
    """Active seconds of all sessions of this run together."""
    values: dict[str, float] = field(default_factory=dict)
    """Loss, other logged scalars and scheduled values, means since the last time."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Validation, when there was one."""
    done: bool = False
    """The budget is spent, and the results are in the run's folder."""
    stopped: bool = False
    """Told to stop by a signal: the checkpoint is written, and `resume` goes on from here."""


def train(
    recipe: Recipe,
    out: Path,
    *,
    data: Path | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    init: str | Path | None = None,
    cpu: bool = False,
    cache: Path | None = None,
    checkpoint_minutes: float = 3.0,
    validate_minutes: float = 10.0,
    now: Callable[[], float] | None = None,
) -> Iterator[Progress]:
    """Train a recipe for a budget of time or steps, over which its schedules stretch.

    With `steps` the result does not depend on the machine's speed, and a run that was killed and resumed ends with the
    same weights, bit for bit on a CPU, as one that was not. With `minutes` the schedules follow a clock of active time:
    pauses do not count, nor on a CPU the time that other programs take.

    Args:
        recipe: What to train.
        out: Folder for checkpoint, log, pictures and results; made if need be.
        data: Folder, .zip or .tar of images, for recipes that need one.
        minutes: Budget of active time; default the recipe's own.
        steps: Budget of steps instead.
        resume: Go on from the checkpoint in `out`, if there is one.
        init: Folder of another run, or name of a model of the registry, whose weights a fresh run starts from; what
            this model has beyond them stays as initialised.
        cpu: Stay on the CPU even where there is a GPU.
        cache: Folder for decoded data; default `out/cache`.
        checkpoint_minutes: Time between checkpoints.
        validate_minutes: Time between validations on part of the held-out data.
        now: Source of time in seconds, instead of the clock; for tests.

    Yields:
        Progress, about every ten seconds.

    Raises:
        ValueError: both or neither kind of budget makes sense, `out` holds a run and `resume` is not set, or its
            checkpoint is damaged or of another recipe.
        FloatingPointError: the loss is no longer finite.
    """
    if minutes is not None and steps is not None:
        raise ValueError("minutes and steps: give one of them, not both")
    minutes = recipe.minutes if minutes is None and steps is None else minutes
    if (minutes is not None and not minutes > 0) or (steps is not None and steps < 1):
        raise ValueError(f"the budget must be positive, got minutes={minutes}, steps={steps}")
    out.mkdir(parents=True, exist_ok=True)
    saved = read_checkpoint(out)
    if saved is not None and not resume:
        raise ValueError(f"{out} already holds a run: give resume (--resume) to go on with it, or another folder")
    torch.manual_seed(recipe.seed)  # fresh parameters, too, follow from the recipe
    objective = make_objective(recipe, data, cache or out / "cache")
    if init is not None and saved is None:
        start_from(objective, init)
    run = _Run(recipe, objective, out, cpu, saved, now)
    limit = _Limit(minutes, steps)
    due = {"log": LOG_SECONDS, "checkpoint": 60 * checkpoint_minutes, "validate": 60 * validate_minutes}
    with stop_on_signals() as told:
        yield from run.run(limit, due, told)


@dataclass(frozen=True)
class _Limit:
    minutes: float | None
    steps: int | None

    def fraction(self, step: int, elapsed: float) -> float:
        spent = step / self.steps if self.steps is not None else elapsed / (60 * (self.minutes or 1.0))
        return min(1.0, spent)


class _Run:
    """The state of a run between steps."""

    def __init__(
        self,
        recipe: Recipe,
        objective: Objective,
        out: Path,
        cpu: bool,
        saved: dict[str, Any] | None,
        now: Callable[[], float] | None,
    ) -> None:
        self.recipe, self.objective, self.out = recipe, objective, out
        self.accelerator = Accelerator(cpu=cpu)
        self.device = self.accelerator.device
        self.main = self.accelerator.is_main_process
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # the batches of a recipe are all of one size, or of a few
        objective.model.to(self.device)
        for parameter in objective.model.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        optimiser = make_optimiser(objective.model, recipe)
        self.step, elapsed = 0, 0.0
        if saved is not None:
            if changed := changes(json.loads(saved["recipe"]), recipe.fixed()):
                raise ValueError(
                    f"{out} holds a run of another recipe, or of another version of {recipe.name}: {changed}"
                )
            objective.model.load_state_dict(saved["model"])
            optimiser.load_state_dict(saved["optimiser"])
            objective.load_state_dict(saved["objective"])
            objective.start = Start(*saved["start"]) if saved.get("start") else None
            self.step, elapsed = saved["step"], saved["elapsed"]
        self.model, self.optimiser = self.accelerator.prepare(objective.model, optimiser)
        self.log = Log(out, self.step) if self.main else None
        objective.prepare()
        if now is None:
            worked = processor_time if self.device.type == "cpu" else None
            self.clock = ActiveClock(elapsed, worked=worked)
        else:
            self.clock = ActiveClock(elapsed, now)

    def run(self, limit: _Limit, due: dict[str, float], told: threading.Event) -> Iterator[Progress]:
        next_time = {kind: self.clock.elapsed + seconds for kind, seconds in due.items()}
        sums: dict[str, Tensor] = {}
        count = 0
        values: dict[str, float] = {}
        self.model.train()
        while True:
            elapsed, stop = self._agree(self.clock.elapsed, told.is_set())
            fraction = limit.fraction(self.step, elapsed)
            ready = [kind for kind, at in next_time.items() if elapsed >= at]
            next_time |= {kind: elapsed + due[kind] for kind in ready}
            ending = stop or fraction >= 1.0
            if count and (ready or ending):  # before a checkpoint, too: none is written of a run that went wrong
                values = {key: float(total) / count for key, total in sums.items()}
                if not math.isfinite(values["loss"]):
                    raise FloatingPointError(f"the loss is {values['loss']} at step {self.step}; try a smaller lr")
                values |= self.recipe.at(fraction)
                sums, count = {}, 0
                if self.log:
                    self.log.values(self.step, fraction, elapsed, values)
                yield Progress(self.step, fraction, elapsed, values)
            if "validate" in ready and not ending:
                metrics = self._validate(fraction, full=False)
                yield Progress(self.step, fraction, elapsed, values, metrics)
            if "checkpoint" in ready or ending:
                self._save()
                self.clock.tick("checkpoint")
            if ending:
                break
            logged = self._step(fraction)
            for key, value in logged.items():
                sums[key] = sums[key] + value if key in sums else value
            count += 1
            self.step += 1
            self.clock.tick("step")
        if stop and fraction < 1.0:
            yield Progress(self.step, fraction, elapsed, values, stopped=True)
            return
        metrics = self._validate(fraction, full=True)
        if self.main:
            from .finish import finish

            finish(self.objective, self.out, metrics, step=self.step, seconds=elapsed, device=self.device)
        self.accelerator.wait_for_everyone()
        yield Progress(self.step, fraction, elapsed, values, metrics, done=True)

    def _step(self, fraction: float) -> dict[str, Tensor]:
        moment = self._moment(fraction)
        for group in self.optimiser.param_groups:
            group["lr"] = moment.values["lr"] * group["lr_scale"]
        batch = self.objective.batch(moment)
        with autocast(self.device, self.recipe.precision):
            loss, logged = self.objective.loss(self.model, batch, moment)
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        clip = self.recipe.optimiser.get("clip")
        if clip is not None:
            self.accelerator.clip_grad_norm_(self.model.parameters(), clip)
        self.optimiser.step()
        return {"loss": loss.detach(), **{key: value.detach() for key, value in logged.items()}}

    def _moment(self, fraction: float) -> Moment:
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        # a fresh seed each step: nothing random outlives a step, so a resumed run draws what an unbroken one would
        seed = (self.recipe.seed * 1_000_003 + self.step) * 1_009 + rank
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        return Moment(self.step, fraction, self.recipe.at(fraction), generator, self.device, rank, world)

    def _validate(self, fraction: float, *, full: bool) -> dict[str, float]:
        metrics: dict[str, float] = {}
        if self.main:
            model = self.accelerator.unwrap_model(self.model)
            model.eval()
            with torch.no_grad(), autocast(self.device, self.recipe.precision):
                metrics = self.objective.validate(model, self.device, full=full)
                picture = self.objective.picture(model, self.device)
            model.train()
            if self.log:
                self.log.metrics(self.step, fraction, self.clock.elapsed, metrics)
                self.log.draw(picture)
        self.accelerator.wait_for_everyone()
        self.clock.tick("validate")
        return metrics

    def _agree(self, elapsed: float, stop: bool) -> tuple[float, bool]:
        """All processes go by the first one's clock, and stop when any of them is told to."""
        if self.accelerator.num_processes == 1:
            return elapsed, stop
        told = torch.tensor([elapsed if self.main else 0.0, float(stop)], dtype=torch.float64, device=self.device)
        elapsed, stops = self.accelerator.reduce(told, reduction="sum").tolist()
        return elapsed, stops > 0

    def _save(self) -> None:
        if self.main:
            save_checkpoint(
                self.out,
                {
                    "recipe": json.dumps(self.recipe.fixed()),
                    "step": self.step,
                    "processes": self.accelerator.num_processes,
                    "elapsed": self.clock.elapsed,
                    "model": self.accelerator.unwrap_model(self.model).state_dict(),
                    "optimiser": self.optimiser.state_dict(),
                    "objective": self.objective.state_dict(),
                    "start": tuple(self.objective.start) if self.objective.start else None,
                },
            )
        self.accelerator.wait_for_everyone()
