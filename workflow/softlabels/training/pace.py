"""How fast a training is and how long it will still take, for its log."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from statistics import median_low

SECONDS = 10.0  # between two lines within an epoch
RECENT = 5  # epochs that the time left is told from: the first is slower than those that follow


class Pace:
    """The times of one training.

    Args:
        epochs, steps, batch: how many epochs, steps of each, and images of a step.
        ending: how many times as many images as in a validation are predicted when all has been learned.
        clock: seconds that only grow.
    """

    def __init__(self, epochs: int, steps: int, batch: int, ending: float,
                 clock: Callable[[], float] = time.monotonic):  # fmt: skip
        self.epochs, self.steps, self.batch, self.ending, self.clock = epochs, steps, batch, ending, clock
        self.of_step: deque[float] = deque(maxlen=RECENT)  # seconds of a step in each epoch, savings included
        self.beside: deque[float] = deque(maxlen=RECENT)  # what each epoch takes besides: validation above all
        self.ended = clock()

    def begin(self, step: int) -> None:
        """The steps of an epoch begin, from ``step`` on."""
        self.first, self.begun, self.saving = step, self.clock(), 0.0
        self.told = self.counted = (step, self.begun, 0.0)

    def step(self, epoch: int, step: int, saving: float) -> str:
        """What is to be told after ``step`` steps of an epoch, nothing most of the time.

        Args:
            epoch, step: from 1.
            saving: seconds that savings of the state took in this epoch; no image is late because of them.
        """
        (before, then, saved), now = self.told, self.clock()
        if not self.of_step and step == self.first + 1 < self.steps:
            self.told = self.counted = (step, now, saving)  # what is compiled or captured by it, no other step repeats
            return ""
        if now - then < SECONDS:
            return ""
        self.told = (step, now, saving)
        here = (now - self.counted[1]) / (step - self.counted[0])
        left = (self.epochs - epoch + 1) * self.steps - step, self.epochs - epoch
        return self._text(step - before, now - then - saving + saved, self._left(*left, [*self.of_step, here]))

    def learned(self, seconds: float) -> None:
        """The steps of an epoch are done, on the device, too; they took so long, without savings."""
        self.learning, self.over = seconds, self.clock()

    def end(self, epoch: int) -> str:
        """What is to be told of an epoch that has ended, validation included."""
        now, done = self.clock(), self.steps - self.first
        if done:  # none where a training goes on that had only the validation of this epoch to do
            step, since, _ = self.counted
            self.of_step.append((self.over - since) / (self.steps - step))
        self.beside.append(now - self.ended - (self.over - self.begun))
        whole, self.ended = now - self.ended, now
        left = self._left((self.epochs - epoch) * self.steps, self.epochs - epoch, self.of_step)
        return ", ".join(filter(None, (f"{whole:.2f} s", self._text(done, self.learning, left))))

    def _left(self, steps: int, epochs: int, of_step: Iterable[float]) -> float | None:
        of_step, beside = list(of_step), median_low(self.beside or [0.0])
        if steps and not of_step:
            return None
        return (steps * median_low(of_step) if steps else 0.0) + (epochs + self.ending) * beside

    def _text(self, steps: int, seconds: float, left: float | None) -> str:
        rate = steps * self.batch / seconds if seconds > 0 else 0.0
        told = [f"{rate:,.{0 if rate >= 10 else 1}f} images/s"] if rate else []
        return ", ".join(told + ([] if left is None else [f"about {left:.0f} s left"]))
