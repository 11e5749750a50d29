"""One entry of each kind, with options, added to a copy: each is one module, and everything else knows it."""

import csv
import textwrap

import pytest
import yaml
from projects import TINY

OURS = {
    "labels/smoothed.py": '''
        """The average, mixed with the uniform distribution."""

        from .evidence import average, label_table

        ENTRY = {
            "about": "The average of the votes, mixed with the uniform distribution.",
            "options": {"alpha": {"type": "number", "default": 0.1, "description": "Share of it."}},
        }


        def aggregate(evidence, options):
            """Labels ``(1 - alpha) p + alpha / C``."""
            p = average(evidence)
            return label_table(evidence, (1 - options["alpha"]) * p + options["alpha"] / p.shape[1], options)
        ''',
    "training/losses/elr.py": '''
        """Early-learning regularisation (Liu et al. 2020): a loss with state."""

        import torch

        ENTRY = {
            "about": "Early-learning regularisation (Liu et al. 2020).",
            "options": {
                "beta": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.7, "description": "Memory."},
                "strength": {"type": "number", "minimum": 0, "default": 3, "description": "Weight of the term."},
            },
        }


        def loss(logits, target, index, state, options):
            """Cross-entropy and ``strength * log(1 - <running mean of predictions, prediction>)``, float32 ``[B]``."""
            q = logits.softmax(dim=1).clamp(1e-4, 1 - 1e-4)
            running = state.setdefault("running", torch.zeros(state["items"], q.shape[1]))
            kept = running[index] = options["beta"] * running[index] + (1 - options["beta"]) * q.detach()
            cross_entropy = -(target * logits.log_softmax(dim=1)).sum(dim=1)
            return cross_entropy + options["strength"] * (1 - (kept * q).sum(dim=1)).log()
        ''',
    "training/optimisers/adamw.py": '''
        """AdamW (Loshchilov and Hutter 2019)."""

        import torch

        ENTRY = {
            "about": "AdamW (Loshchilov and Hutter 2019).",
            "options": {"beta": {"type": "number", "default": 0.9, "description": "Of the first moment."}},
        }


        def optimiser(parameters, rate, options):
            """AdamW with torch's other defaults."""
            return torch.optim.AdamW(parameters, lr=rate, betas=(options["beta"], 0.999))
        ''',
    "training/schedules/steps.py": '''
        """The rate falls in steps."""

        ENTRY = {
            "about": "The rate falls by a factor after each so many epochs.",
            "options": {
                "every": {"type": "number", "exclusiveMinimum": 0, "default": 30, "description": "Epochs of a step."},
                "factor": {"type": "number", "exclusiveMinimum": 0, "default": 0.1, "description": "Of each step."},
            },
        }


        def factor(epoch, epochs, options):
            """``factor ** floor(epoch / every)``."""
            return options["factor"] ** int(epoch // options["every"])
        ''',
    "networks/plain.py": '''
        """One convolution."""

        from torch import nn

        from .base import Body

        ENTRY = {
            "about": "One convolution and global average pooling.",
            "options": {"width": {"type": "integer", "default": 8, "description": "Number of features."}},
        }


        def body(options, weights, weights_file):
            """``width`` pooled features."""
            width = options["width"]
            layers = [nn.Conv2d(3, width, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
            return Body(nn.Sequential(*layers), width)
        ''',
    "evaluation/metrics/top_k.py": '''
        """Top-k accuracy."""

        import numpy as np

        ENTRY = {
            "about": "Share of items whose truth is among the k most probable classes.",
            "options": {"k": {"type": "integer", "minimum": 1, "default": 2, "description": "How many classes."}},
            "heading": "top-k", "better": "higher", "unit": None, "decimals": 3, "needs": [],
            "source": "Krizhevsky et al. 2012",
        }


        def metric(aligned, options):
            """Share in [0, 1]; ties go to the lowest class."""
            best = np.argsort(-aligned.log_prediction, axis=1, kind="stable")[:, : options["k"]]
            return float((best == aligned.reference.argmax(axis=1)[:, None]).any(axis=1).mean())


        def again(reference, log_prediction, options):
            """The same, by counting the classes that come before the truth."""
            truth = reference.argmax(axis=1)
            own = log_prediction[np.arange(len(truth)), truth]
            equal = [(row[:k] == row[k]).sum() for row, k in zip(log_prediction, truth, strict=True)]
            return float(((log_prediction > own[:, None]).sum(axis=1) + equal < options["k"]).mean())
        ''',
    "datasets/stripes.py": '''
        """Images of one grey each, whose level says how much of them is dark."""

        import numpy as np

        from .contract import Content, new_images

        ENTRY = {
            "about": "Images of one grey level each, dark or bright to a known degree.",
            "options": {
                "items": {"type": "integer", "minimum": 10, "default": 60, "description": "Number of images."},
                "pixels": {"type": "integer", "minimum": 8, "default": 16, "description": "Side of the images."},
                "levels": {"type": "string", "input": "levels", "default": "levels.txt", "description": "A file."},
            },
            "gives": ["exact"],
        }


        def read(options, files, problems):
            """The levels of the file; the distribution is (1 - level, level)."""
            level = np.loadtxt(files["levels"])[: options["items"]]

            def images(path, threads):
                if path is not None:
                    shape = (len(level), options["pixels"], options["pixels"], 3)
                    with new_images(path, shape) as append:
                        append(np.broadcast_to(np.rint(255 * level)[:, None, None, None], shape))
                return {}

            names = [f"stripes-{i}" for i in range(len(level))]
            return Content(names, ["dark", "bright"], images, p=np.column_stack([1 - level, level]))
        ''',
    "studies/tables/ranking.py": '''
        """Labels in order of one metric."""

        from ...documents import Table

        ENTRY = {
            "about": "Labels in the order of one metric.",
            "options": {"metric": {"type": "string", "default": "kl", "description": "The metric."}},
            "needs": [],
        }


        def table(ledger, options):
            """One row a label and block, the best first."""
            rows = []
            for block in ledger.blocks:
                found = [(ledger.get(block, label, options["metric"]), label) for label in ledger.facts["labels"]]
                for cell, label in sorted(found, key=lambda pair: pair[0]["mean"]["value"]):
                    rows.append([*ledger.place(block), label, cell["mean"]["printed"]])
            return Table("Ranking", [*ledger.place_header(), "label", options["metric"]], rows, ["Lowest first."])
        ''',
    "studies/figures/bars.py": '''
        """A bar a label."""

        from matplotlib.figure import Figure

        from ... import io

        ENTRY = {
            "about": "A bar a label: the mean of one metric.",
            "options": {"metric": {"type": "string", "default": "kl", "description": "The metric."}},
            "needs": ["cells"],
            "per": "study",
        }


        def draw(config, inputs):
            """The means of every block."""
            cells = io.read_table(inputs["cells"])[0].to_pandas().query("kind == 'measured' and statistic == 'mean'")
            shown = cells[cells["metric"] == config["figure"]["metric"]]
            figure = Figure(figsize=(4, 3), layout="constrained")
            figure.subplots().bar(shown["label"], shown["value"])
            return figure
        ''',
}
THEIRS = {
    "mine/my_losses.py": '''
        """A loss of the user's own."""

        from my_tools import weight

        ENTRY = {
            "kind": "loss",
            "about": "Focal loss (Lin et al. 2017).",
            "options": {"gamma": {"type": "number", "minimum": 0, "default": 2, "description": "How fast items fade."}},
        }


        def focal(logits, target, index, state, options):
            log_q = logits.log_softmax(dim=1)
            return -(target * weight(log_q, options["gamma"]) * log_q).sum(dim=1)
        ''',
    "mine/my_tools.py": '''
        """Beside it."""


        def weight(log_q, gamma):
            return (1 - log_q.exp()) ** gamma
        ''',
}
QUICK = {"epochs": 1, "batch": 32, "rate": 0.05}
EXTENDED = {
    "modules": "mine",
    "datasets": {"stripes": {"source": {"kind": "stripes", "items": 80}}},
    "labels": {
        "hard": {"aggregate": "majority", "form": "hard"},
        "soft": {"aggregate": "average", "form": "soft"},
        "smoothed": {"aggregate": {"kind": "smoothed", "alpha": 0.3}, "form": "soft"},
    },
    "recipes": {
        "new": {
            **QUICK,
            "network": {"kind": "plain", "width": 6},
            "loss": {"kind": "elr", "beta": 0.5},
            "optimiser": {"kind": "adamw", "beta": 0.8},
            "schedule": {"kind": "steps", "every": 1},
        },
        "own": {**QUICK, "network": "compact", "loss": {"kind": "my_losses:focal", "gamma": 1}},
    },
    "studies": {
        "extended": {
            "datasets": ["tiny_synthetic"],
            "recipes": ["tiny_compact", "new"],
            "labels": ["hard", "smoothed"],
            "seeds": [0],
            "metrics": ["macro_acc", "kl", "kl_dcic", {"kind": "top_k", "k": 3}],
            "tables": ["main", "further", {"kind": "ranking", "metric": "top_k__k_3"}],
            "figures": ["curves", {"kind": "bars", "metric": "kl"}],
        },
        "striped": {"datasets": ["stripes"], "recipes": ["own"], "labels": ["soft"], "seeds": [0], "figures": []},
    },
}


def write(folder, modules):
    for name, text in modules.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text).lstrip())


@pytest.fixture
def extended(finished):
    """The finished tiny study, with an entry of each kind and a study of them that has not run."""
    write(finished.folder / "workflow/softlabels", OURS)
    write(finished.folder, THEIRS)
    (finished.folder / "levels.txt").write_text("\n".join(str(k / 99) for k in range(100)))
    raw = yaml.safe_load((finished.folder / TINY).read_text())
    for key, value in EXTENDED.items():
        raw[key] = {**raw.get(key, {}), **value} if isinstance(value, dict) else value
    (finished.folder / "config/extended.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    return finished


CONFIG = "config/extended.yaml"
# Recipe new on two labels, tiny_compact on one more, and own on the stripes; top_k of all runs of the extended study.
NEW = {
    "data": 1, "card": 1, "label": 2, "split": 1, "references": 2, "train": 4, "evaluate": 8, "study": 2, "chain": 2,
    "figure": 3,
}  # fmt: skip


def test_entries_of_every_kind_leave_what_exists_fresh_and_only_new_jobs_are_planned(extended):
    assert extended.planned() == {}
    assert extended.planned(config=CONFIG) == NEW


@pytest.mark.slow
def test_entries_of_every_kind_run_and_everything_knows_them(extended):
    tiny = extended.contents("studies/tiny", "runs")
    extended.snakemake(config=CONFIG)
    assert extended.planned(config=CONFIG) == {}
    after = extended.contents("studies/tiny", "runs")
    assert {path: after[path] for path in tiny} == tiny  # another study's files stay as they are

    folder = extended.folder / "results/tiny/studies/extended"
    text = (folder / "table.md").read_text()
    assert "top-k (k 3) ↑" in text  # its heading, options and arrow
    assert "## Ranking" in text
    assert (folder / "figures/bars.png").stat().st_size > 1000
    rows = list(csv.DictReader((folder / "table.csv").open()))
    found = {
        row["label"]: float(row["mean"]) for row in rows if row["metric"] == "top_k__k_3" and row["kind"] == "measured"
    }
    assert set(found) == {"hard", "smoothed"}

    assert "smoothed" in extended.softlabels("explain", "results/tiny/studies/extended", "smoothed new", "top_k__k_3")
    verdicts = extended.softlabels("audit", "results/tiny", "--configfile", CONFIG)
    assert "0 fail" in verdicts, verdicts

    extended.edit("mine/my_tools.py", ("- log_q.exp()", "- 1.0 * log_q.exp()"))  # a module away from what is named
    assert extended.planned(config=CONFIG)["train"] == 1
    assert "code" in extended.softlabels("audit", "results/tiny", "--configfile", CONFIG, status=1)


def test_schema_documents_and_check_know_them(extended):
    extended.softlabels("check", CONFIG)
    printed = extended.python("-Pm", "softlabels.published")
    assert printed == ""
    options = (extended.folder / "docs/options.md").read_text()
    schema = yaml.safe_load((extended.folder / "workflow/schemas/config.schema.yaml").read_text())
    kinds = {"aggregate": "smoothed", "loss": "elr", "optimiser": "adamw", "schedule": "steps", "network": "plain",
             "metric": "top_k", "source": "stripes", "table": "ranking", "figure": "bars"}  # fmt: skip
    for kind, name in kinds.items():
        assert f"{kind}_{name}" in schema["$defs"]
        assert f"**`{name}`**" in options
    extended.edit(CONFIG, ("kind: elr", "kind: erl"), ("every: 1", "evry: 1"))
    wrong = extended.softlabels("check", CONFIG, status=2)
    assert "recipes.new.loss: Unknown loss 'erl'" in wrong
    assert "Did you mean 'elr'?" in wrong
    assert "recipes.new.schedule: unknown key 'evry'; did you mean 'every'?" in wrong
