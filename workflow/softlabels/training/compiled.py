"""A network as torch.compile writes it: several operations in one pass over the memory, rounded in another order."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .. import lacking
from ..errors import UserError

CACHE = "TORCHINDUCTOR_CACHE_DIR"  # environment variable: where PyTorch keeps what it has compiled


def compiled(model: nn.Module, threads: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """What computes ``model(images)``, for batches of one size; it is compiled by the first call.

    The model, its parameters and their names stay as they are. Nothing is chosen by the clock, and dropout draws what
    it draws without: the same machine gives the same bytes. Whatever cannot be compiled is an error, see
    :func:`explained`, and never run otherwise.
    """
    os.environ.setdefault(CACHE, str(_folder(threads)))
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # no processes that outlive the compiling
    try:
        Path(os.environ[CACHE]).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{os.environ[CACHE]}: {error.strerror}. What recipe.compile compiles is kept there: set {CACHE} to a "
            f"folder that you may write to."
        ) from None
    print(f"compiling the network, which may take a minute or two; kept in {os.environ[CACHE]}", file=sys.stderr)
    torch.compiler.reset()
    options = {"fallback_random": True, "deterministic": True}
    return torch.compile(model, fullgraph=True, dynamic=False, options=options)


def _folder(threads: int) -> Path:
    """The user's own folder for code that was compiled for such a processor and so many threads.

    PyTorch's own choice is a folder of a known name in a place where everybody may write, and code in it is run.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    processor = " ".join(sorted(lacking.processor_flags()))
    return home / "softlabels" / "compiled" / hashlib.sha256(f"{processor} {threads}".encode()).hexdigest()[:16]


@contextmanager
def explained(recipe: dict[str, Any]) -> Iterator[None]:
    """Turn what the compiler says in the block into one UserError that names the network and the way out."""
    try:
        yield
    except Exception as error:
        if not recipe["compile"] or not _is_of_compiler(error):
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserError(
            f"The network {recipe['network']['kind']} cannot be compiled ({type(error).__name__}: "
            f"{lines[0] if lines else ''}). Set recipe.compile: false, or correct the network where it is your own."
        ) from None


def _is_of_compiler(error: Exception) -> bool:
    from torch._dynamo import exc

    return isinstance(error, exc.TorchDynamoException | exc.FailOnRecompileLimitHit)
