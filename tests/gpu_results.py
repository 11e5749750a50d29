"""The project's own results of a GPU (docs/gpu): their numbers and pictures, made again from the files there.

PYTHONPATH=workflow:tests python tests/gpu_results.py            prints the table of docs/gpu/README.md
PYTHONPATH=workflow:tests python tests/gpu_results.py <folder>   and draws the pictures there
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from softlabels import drawing, io
from softlabels.contracts import write_reference
from softlabels.datasets.synthetic import CLASSES, label_distributions
from softlabels.evaluation.plateau import reached
from softlabels.evaluation.structure import label_smoothness
from softlabels.studies.figures import curves, embedding

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "gpu"
RUNS = [(card, form) for card in ("h200", "h100") for form in ("hard", "soft")]
HEADER = ("card", "labels", "ACC", "KL", "TVD", "KL pure", "KL interpolated", "colour ACC", "shape ACC", "T",
          "KL after T", "epoch of accuracy 0.75")  # fmt: skip
LEVEL = 0.75
NEIGHBOURS = 15  # of the label smoothness, as in every study


class Items(NamedTuple):
    """The data set: its parts, which items are pure, positions and exact distributions; rows are items."""

    part: np.ndarray  # [N] of train, val, test
    pure: np.ndarray  # bool [N]
    p: np.ndarray  # float64 [N, 6]


def items() -> Items:
    """The data set that all these networks learned."""
    table, _ = io.read_table(RESULTS / "items.parquet")
    u, s, part, pure = (io.vector(table, name) for name in ("u", "s", "split", "pure"))
    return Items(part, pure, label_distributions(u, s))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the distributions of logits ``[n, C]``."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def divergence(p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """KL divergence of each item in nats, ``[n]``."""
    return (p * (np.log(np.where(p > 0, p, 1)) - log_q)).sum(axis=1)


def macro(p: np.ndarray, q: np.ndarray) -> float:
    """Mean over the classes of the share of their items whose largest class is found."""
    truth, found = p.argmax(axis=1), q.argmax(axis=1)
    return float(np.mean([(found[truth == k] == k).mean() for k in np.unique(truth)]))


def merged(q: np.ndarray, by: str) -> np.ndarray:
    """Probabilities of colours ``[n, 3]`` or shapes ``[n, 2]``: class 2 i + j has the i-th colour and j-th shape."""
    return q.reshape(len(q), 3, 2).sum(axis=2 if by == "colour" else 1)


def numbers(card: str, form: str) -> dict[str, float | int | None]:
    """What a network scores on the test part, and one temperature fitted on the reference of the validation part."""
    of = items()
    table, metadata = io.read_table(RESULTS / card / f"{form}-predictions.parquet")
    assert metadata["classes"] == CLASSES["colour_shape"]
    logits, item = io.matrix(table, "logits").astype(float), io.vector(table, "item")
    test, val = (of.part[item] == part for part in ("test", "val"))
    p, pure, log_q = of.p[item[test]], of.pure[item[test]], log_softmax(logits[test])
    kl, q = divergence(p, log_q), np.exp(log_q)

    def after(temperature: float, part: np.ndarray) -> float:
        return divergence(of.p[item[part]], log_softmax(logits[part] / temperature)).mean()

    best = np.exp(minimize_scalar(lambda x: after(np.exp(x), val), bounds=(-4, 4), options={"xatol": 1e-8}).x)
    found = {
        "ACC": macro(p, q), "KL": kl.mean(), "TVD": np.abs(p - q).sum(axis=1).mean() / 2,
        "KL pure": kl[pure].mean(), "KL interpolated": kl[~pure].mean(),
        **{f"{by} ACC": macro(merged(p, by), merged(q, by)) for by in ("colour", "shape")},
        "T": best, "KL after T": after(best, test),
    }  # fmt: skip
    return {name: float(value) for name, value in found.items()} | {HEADER[-1]: epoch(card, form)}


def epoch(card: str, form: str) -> int | None:
    """The first epoch of such an accuracy on the validation items; None where the history has none."""
    table, _ = io.read_table(RESULTS / card / f"{form}-history.parquet")
    if "val_acc_reference" not in table.column_names:
        return None
    return reached(io.vector(table, "epoch"), io.vector(table, "val_acc_reference"), LEVEL)


def lines() -> list[str]:
    """The table as Markdown: a row a network."""

    def text(value: float | int | None) -> str:
        return "–" if value is None else str(value) if isinstance(value, int) else f"{value:.4f}"

    rows = [[card.upper(), form, *map(text, numbers(card, form).values())] for card, form in RUNS]
    return [f"| {' | '.join(row)} |" for row in (HEADER, ["---"] * len(HEADER), *rows)]


def panels() -> list[embedding.Panel]:
    """The embeddings of the test items, with what can be said of them without the features."""
    of, found = items(), []
    for form in ("hard", "soft"):
        table, facts = io.read_table(RESULTS / "h100" / f"{form}-embedding.parquet")
        item, points = io.vector(table, "item"), np.column_stack([io.vector(table, axis) for axis in "xy"])
        smooth = label_smoothness(points.astype(float), of.p[item], NEIGHBOURS)
        facts |= {"trustworthiness": None, "label_smoothness": smooth}
        found.append(embedding.Panel(form, item, points, facts, {}))
    return found


def draw(folder: Path) -> None:
    """Write figure1.png, figure2.png and curves.png."""
    path, of = RESULTS / "items.parquet", items()
    network = "DenseNet121, 160 pixels, seed 0"
    title = f"{network}, on an H100: t-SNE of the test items"
    with drawing.style(), tempfile.TemporaryDirectory() as scratch:
        first = embedding.positions_figure(panels(), io.read_table(path)[0], path, title)
        write_reference(Path(scratch) / "reference.parquet", of.p, None, CLASSES["colour_shape"])
        second = embedding.classes_figure(panels(), Path(scratch) / "reference.parquet", title)
        for figure, name in ((first, "figure1"), (second, "figure2")):
            drawing.save(figure, folder / f"{name}.png")
        histories = []
        for form in ("hard", "soft"):  # a study finds them by their places
            place = Path(scratch, "runs/synthetic/random/densenet121", form, "seed0/history.parquet")
            place.parent.mkdir(parents=True)
            histories.append(shutil.copy(RESULTS / "h200" / f"{form}-history.parquet", place))
        config = {"study": f"{network}, on an H200", "labels": ["hard", "soft"], "seeds": [0]}
        block = ["synthetic", "random", "densenet121"]
        third = curves.draw(config | {"block": block}, {"histories": histories})
        drawing.save(third, folder / "curves.png")


if __name__ == "__main__":
    print("\n".join(lines()))
    if len(sys.argv) > 1:
        draw(Path(sys.argv[1]))
