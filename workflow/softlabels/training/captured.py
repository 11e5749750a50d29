"""Work on a GPU as one CUDA graph: after its first calls one launch a call instead of one for each kernel."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Any

import torch

WARM = 3  # calls before the capture: in them libraries are loaded, make their handles and choose their kernels
AHEAD = 16  # replays that may wait for the GPU at a time: a request to stop must not wait for a whole epoch


class Pool:
    """Memory of graphs whose calls never overlap: what one of them leaves free, another may use."""

    def __init__(self) -> None:
        self.handle: Any = None

    def taken(self) -> Any:
        """The pool as PyTorch names it."""
        self.handle = self.handle or torch.cuda.graph_pool_handle()
        return self.handle

    def leave(self) -> None:
        """Take other memory for graphs to come: that of a capture that failed stays with it."""
        self.handle = None


class Captured:
    """``work()``, started kernel by kernel at first and replayed as a CUDA graph from then on, to the same bytes.

    Args:
        work: takes nothing; reads and writes tensors that stay where they are; its course depends on no value that
            changes from call to call. What it returns holds until the next call.
        device: where it is done.
        pool: shared with other such work.
        wanted: whether it is to be captured; else, and on a CPU, each call is ``work()``.
    """

    def __init__(self, work: Callable[[], Any], device: torch.device, pool: Pool, wanted: bool = True):
        self.work, self.device, self.pool = work, device, pool
        self.graph: torch.cuda.CUDAGraph | None = None
        self.result: Any = None
        self.calls, self.wanted = 0, wanted and device.type == "cuda"
        self.under_way: deque[torch.cuda.Event] = deque()
        self.stream = torch.cuda.Stream(device) if self.wanted else None

    def __call__(self) -> Any:
        """Do the work; where it is a graph's, it may still be under way."""
        if self.wanted and self.graph is None:
            if self.calls < WARM:
                self.calls += 1
                return self._beside()
            self._capture()
        if self.graph is None:
            return self.work()
        self.graph.replay()
        self._wait()
        return self.result

    def _beside(self) -> Any:
        """Do the work on the stream of the capture: what libraries keep for each stream is there from then on."""
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            result = self.work()
        current.wait_stream(self.stream)
        return result

    def _capture(self) -> None:
        """Note the work without doing it; where that fails, it stays as it is, and the log says why."""
        current = torch.cuda.current_stream(self.device)
        generator = torch.cuda.default_generators[current.device.index]
        untouched, graph = generator.clone_state(), torch.cuda.CUDAGraph()
        try:
            # Autograd works backward in a thread of its own, and a user's code may have more: what these ask of CUDA
            # meanwhile must not end the capture.
            with torch.cuda.graph(graph, self.pool.taken(), self.stream, capture_error_mode="thread_local"):
                self.result = self.work()
        except Exception as error:  # whatever it was, the work itself can still be done, or says what is wrong with it
            torch.cuda.set_stream(current)  # a capture that fails leaves its own,
            generator.graphsafe_set_state(untouched)  # and a generator that still waits for the end of it
            self.pool.leave()
            self.result, self.wanted = None, False
            print(f"not captured as a CUDA graph, which slows small networks: {_cause(error)}", file=sys.stderr)
        else:
            self.graph = graph

    def _wait(self) -> None:
        """Let the GPU come within AHEAD replays."""
        self.calls += 1
        if self.calls % (AHEAD // 2) == 0:
            self.under_way.append(torch.cuda.current_stream(self.device).record_event())
            if len(self.under_way) == 2:
                self.under_way.popleft().synchronize()


def _cause(error: BaseException) -> str:
    """The first line of the first error: the end of a capture that failed fails, too, and says less."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error).strip().split("\n")[0]
