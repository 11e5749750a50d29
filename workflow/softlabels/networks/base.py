"""A classifier: a body that gives pooled features, and a linear head."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from .. import keyed, registry
from ..errors import UserError, is_lack_of_memory


@dataclass
class Body:
    """What a network module builds."""

    module: nn.Module  # images float32 [B, 3, H, W] to globally average pooled features [B, F]
    width: int  # F
    # The normalisation constants of the loaded weights (per channel, of values in 0..1); None without.
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None


class Classifier(nn.Module):
    """Body, dropout (0 by default) and a linear head; normalises its input with constants kept in its state.

    With ``upscale``, images are enlarged to squares of that side first (bilinear).
    """

    def __init__(self, body: Body, classes: int, dropout: float = 0.0, upscale: int | None = None):
        super().__init__()
        self.upscale = upscale
        self.body = body.module
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(body.width, classes)
        self.register_buffer("mean", torch.tensor(body.mean or (0.0, 0.0, 0.0)).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(body.std or (1.0, 1.0, 1.0)).reshape(1, 3, 1, 1))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Pooled (GAP) features ``[B, F]`` of images float32 ``[B, 3, H, W]`` in 0..1."""
        if self.upscale:
            images = F.interpolate(images, (self.upscale, self.upscale), mode="bilinear", align_corners=False)
        mean, std = self.mean, self.std
        if not images.is_cuda and images.is_contiguous(memory_format=torch.channels_last):
            # As wide as a row: a CPU would take each pixel's three numbers by themselves, ten times as slowly.
            mean, std = (
                x.expand(1, 3, 1, images.shape[3]).contiguous(memory_format=torch.channels_last) for x in (mean, std)
            )
        return self.body((images - mean).div_(std))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits ``[B, C]`` of images float32 ``[B, 3, H, W]`` in 0..1."""
        return self.head(self.dropout(self.features(images)))


def build(
    options: dict[str, Any],
    classes: int,
    seed: int,
    weights: str = "none",
    weights_file: Path | None = None,
    dropout: float = 0.0,
    upscale: int | None = None,
) -> tuple[Classifier, Body]:
    """A classifier of C classes whose initial weights are keyed by (seed, network); its keywords are a recipe's.

    ``options`` is the recipe's ``network``, ``weights_file`` safetensors or PyTorch state of the body. A UserError
    where there are no such weights of this network.
    """
    kind = options["kind"]
    if lack := registry.lack_of_weights(kind, weights):
        raise UserError(lack)
    torch.manual_seed(keyed.torch_seed(f"initial weights of {kind}", seed))
    body = registry.load("network", kind)(options, weights, weights_file)
    return Classifier(body, classes, dropout, upscale), body


def require_fit(network: Classifier, name: str, height: int, width: int) -> None:
    """Refuse a network that cannot take images of this size, or whose features are not pooled, by trying one image.

    Args:
        network: on any device, ``meta`` too, on which nothing is computed.
        name: what messages call it.
        height, width: of the data set's images, in pixels.
    """
    if network.upscale and (height != width or height > network.upscale):
        raise UserError(
            f"recipe.upscale: {network.upscale} enlarges square images of at most that side, found images of {height} "
            f"x {width} pixels. Remove it, or give the source pixels: {network.upscale}."
        )
    shown = f"{network.upscale} x {network.upscale}" if network.upscale else f"{height} x {width}"
    learning = network.training
    network.eval()
    try:
        with torch.no_grad():
            found = network.features(torch.zeros(1, 3, height, width, device=network.mean.device))
    except (AssertionError, RuntimeError, ValueError) as error:  # each network has its own way to say it
        if is_lack_of_memory(error):
            raise
        side = getattr(network.body, "pretrained_cfg", {}).get("input_size", (3, 0, 0))[-1]
        remedy = f"Set recipe.upscale: {side}" if side >= max(height, width) else "Give the source other pixels"
        raise UserError(
            f"The network {name} cannot take images of {shown} pixels ({_first_line(error)}). {remedy}, or choose "
            f"another network."
        ) from None
    finally:
        network.train(learning)
    if not isinstance(found, torch.Tensor) or tuple(found.shape) != (1, network.head.in_features):
        what = f"an array {list(found.shape)}" if isinstance(found, torch.Tensor) else type(found).__name__
        raise UserError(
            f"The network {name} gives {what} for one image, expected pooled features [1, {network.head.in_features}]. "
            f"Choose a network with global pooling."
        )


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def whole_float32() -> None:
    """Have a GPU compute float32 with all of its 24 bits, not as TF32 with 11: bfloat16 is there for speed."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


def state_sha256(module: nn.Module) -> str:
    """SHA-256 over names and values of all parameters and buffers, in name order."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def load_weights(module: nn.Module, path: Path) -> None:
    """Load a body's weights from a local file; the head's are ignored, those of another network a UserError."""
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:  # never unpickle: tensors and plain containers only
            state = torch.load(path, map_location="cpu", weights_only=True)
            state = state.get("state_dict", state) if isinstance(state, dict) else {}
            state = state if isinstance(state, dict) else {}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file of weights. Correct recipe.weights_file.") from None
    except Exception as error:  # torch's own message advises to run the code in the file
        raise UserError(
            f"{path}: cannot be read as weights ({type(error).__name__}), expected safetensors or a PyTorch file that "
            f"holds tensors and nothing to be executed. Save the network's state_dict and name that file."
        ) from None
    wanted = module.state_dict()
    state = {str(name).removeprefix("body."): tensor for name, tensor in state.items()}
    missing = [name for name in wanted if not _is_like(state.get(name), wanted[name])]
    if missing:
        raise UserError(
            f"{path}: {len(missing)} of the network's {len(wanted)} tensors are missing or of another shape or kind "
            f"(first: {missing[0]}). Name the weights of this network, or choose weights: none."
        )
    broken = [name for name in wanted if not torch.isfinite(state[name]).all()]
    if broken:
        raise UserError(
            f"{path}: {len(broken)} of the network's {len(wanted)} tensors hold numbers that are not finite (first: "
            f"{broken[0]}), as after a training that diverged. Name other weights, or choose weights: none."
        )
    module.load_state_dict({name: state[name] for name in wanted})


def _is_like(found: Any, wanted: torch.Tensor) -> bool:
    """Whether this can be put in the place of a network's tensor: dense real numbers of its shape."""
    return (
        isinstance(found, torch.Tensor)
        and found.shape == wanted.shape
        and found.layout == torch.strided
        and not (found.is_complex() or found.is_quantized or found.is_meta)
    )


def of_timm(model: str, weights: str, weights_file: Path | None) -> Body:
    """The body of timm's ``model`` with random, downloaded or local weights; a UserError if they cannot be had."""
    import timm

    hub = weights in ("imagenet", "pretrained")
    try:
        module = timm.create_model(model, pretrained=hub, num_classes=0)
    except Exception as error:  # the hub raises a dozen types for "no network"
        if "." in model or model not in timm.list_models():
            _require_known(model)
        if not hub:
            raise
        raise UserError(
            f"The pre-trained weights of {model} cannot be had ({type(error).__name__}: {_first_line(error)}). Connect "
            f"to the network once (they are then cached), or download them elsewhere and set weights: file and "
            f"weights_file: <path>, or set weights: none."
        ) from None
    if weights == "file":
        load_weights(module, weights_file)
    constants = module.pretrained_cfg if weights != "none" else {}
    # Some networks widen pooled features before their head: that width is not `num_features`.
    width = getattr(module, "head_hidden_size", None) or module.num_features
    return Body(module, width, constants.get("mean"), constants.get("std"))


def require_pretrained(model: str) -> None:
    """Refuse a model of timm without pre-trained weights, whatever the network; the nearest that has some is named."""
    import timm

    try:
        known = timm.get_pretrained_cfg(model)
    except RuntimeError:
        _require_known(model)
        return  # a former name, which timm still translates
    if known is not None and known.has_weights:
        return
    name = model.partition(".")[0]
    tags = [tag for tag in timm.list_pretrained(f"{name}.*") if tag != model]
    near = difflib.get_close_matches(name, sorted({tag.partition(".")[0] for tag in timm.list_pretrained()}), n=3)
    there = f"{name} has some as {', '.join(tags)}" if tags else f"there are some of {', '.join(near) or 'others'}"
    raise UserError(
        f"recipe.weights: timm {timm.__version__} has no pre-trained weights of '{model}'; {there} "
        f"(timm.list_pretrained()). Name such a network, or set weights: file and weights_file: <path>."
    )


def _require_known(model: str) -> None:
    """Refuse a name, or a name and tag, that timm does not know; the nearest one is named."""
    import timm

    name, _, tag = model.partition(".")
    tags = timm.list_pretrained(f"{name}.*")
    known = timm.list_models()
    if name not in known or (tag and model not in tags):
        near = difflib.get_close_matches(model if name in known else name, tags if name in known else known, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        of_what = f"it has {', '.join(tags) or 'no weights'} for {name}" if name in known else "see timm.list_models()"
        raise UserError(f"recipe.network.name: timm {timm.__version__} has no model '{model}'; {of_what}.{hint}")
