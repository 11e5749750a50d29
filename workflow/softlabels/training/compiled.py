"""A network as torch.compile writes it: several operations in one pass over the memory, rounded in another order."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
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
    os.environ[CACHE] = os.environ.get(CACHE) or str(_folder(threads, compiler(next(model.parameters()).device)))
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # no processes that outlive the compiling
    _make(Path(os.environ[CACHE]))
    print(f"compiling the network, which may take a minute or two; kept in {os.environ[CACHE]}", file=sys.stderr)
    torch.compiler.reset()
    options = {"fallback_random": True, "deterministic": True}
    return torch.compile(model, fullgraph=True, dynamic=False, options=options)


def compiler(device: torch.device) -> str:
    """What writes the code for a device and in which version: results may differ between two of them."""
    if device.type == "cuda":
        from torch._inductor.runtime.triton_compat import triton

        return f"Triton {triton.__version__}"
    name = lacking.cpp_compiler()
    said = subprocess.run([name, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          errors="replace", env=os.environ | {"LC_ALL": "C"}).stdout.strip()  # fmt: skip
    return said.split("\n")[0].strip() or name


def _folder(threads: int, compiler: str) -> Path:
    """The user's own folder for code that this compiler wrote for such a processor and so many threads.

    PyTorch's own choice is a folder of a known name in a place where everybody may write, and code in it is run. It
    takes what it finds there, even if an older compiler wrote it.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = "\n".join([*sorted(lacking.processor_flags()), compiler, str(threads)])
    return home / "softlabels" / "compiled" / hashlib.sha256(key.encode()).hexdigest()[:16]


def _make(folder: Path) -> None:
    """Make a folder for code that will be run, and what it lies in: nobody else may write there, whatever the umask."""
    try:
        missing = [level for level in (folder, *folder.parents) if not level.exists()]
        for level in reversed(missing):
            level.mkdir(mode=0o700, exist_ok=True)
        about = folder.stat()
    except OSError as error:
        raise UserError(
            f"{folder}: {error.strerror}. What recipe.compile compiles is kept there: set {CACHE} to a folder that you "
            f"may write to."
        ) from None
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or stat.S_IMODE(about.st_mode) & 0o022:
        raise UserError(
            f"{folder}: expected a folder of user {os.getuid()} that nobody else may write to, because code that "
            f"recipe.compile keeps there is run. Remove it, or set {CACHE} to another folder."
        )


@contextmanager
def explained(recipe: dict[str, Any]) -> Iterator[None]:
    """Turn what the compiler says in the block into one UserError that names the network and the way out."""
    try:
        yield
    except Exception as error:
        if not recipe["compile"] or isinstance(error, UserError | OSError) or not _is_of_compiler(error):
            raise
        inner: BaseException = error
        while inner.__cause__ or inner.__context__:
            inner = inner.__cause__ or inner.__context__
        said = " ".join(f"{type(each).__name__}: {each}".split("\n")[0] for each in dict.fromkeys((error, inner)))
        raise UserError(
            f"The network {recipe['network']['kind']} cannot be compiled ({said}). Set recipe.compile: false, or "
            f"correct the network where it is your own. If it was compiled before, remove {os.environ.get(CACHE)}."
        ) from None


def _is_of_compiler(error: Exception) -> bool:
    from torch._dynamo import exc

    return isinstance(error, exc.TorchDynamoException | exc.FailOnRecompileLimitHit)
