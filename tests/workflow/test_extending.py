"""One entry of each kind, with options, added to a copy: each is one module, and everything else knows it."""

import csv
import textwrap

import pytest
import yaml
from projects import TINY

OURS = {
    "labels/flattened.py": '''
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
    "labels/reliable.py": '''
        """Votes weighed by their annotators, who are judged on the training part."""

        import numpy as np

        from .evidence import label_table

        ENTRY = {
            "about": "Votes weighed by how often their annotator agrees with the majority.",
            "options": {"power": {"type": "number", "minimum": 0, "default": 1, "description": "Of the weight."}},
            "needs": ["annotators"],
            "shared": ["fit_on"],
        }


        def aggregate(evidence, options):
            """Shares of the weights ``((r + 1) / (n + 2)) ** power``; r of n votes are the majority's."""
            votes, n_people = evidence.votes, len(evidence.votes.people)
            used = evidence.fit[votes.item]
            right = used & (votes.label == evidence.counts.argmax(axis=1)[votes.item])
            r, n = (np.bincount(votes.annotator[chosen], minlength=n_people) for chosen in (right, used))
            p = np.zeros((evidence.n_items, len(evidence.classes)))
            np.add.at(p, (votes.item, votes.label), (((r + 1) / (n + 2)) ** options["power"])[votes.annotator])
            return label_table(evidence, p / p.sum(axis=1, keepdims=True), options)
        ''',
    "labels/drawn.py": '''
        """One class an item, drawn anew with each seed."""

        import numpy as np

        from .. import keyed
        from .evidence import average, label_table, one_hot

        ENTRY = {
            "about": "One class an item, drawn from the votes anew with each seed.",
            "options": {"heat": {"type": "number", "exclusiveMinimum": 0, "default": 1, "description": "Evens out."}},
            "draws": True,
        }


        def aggregate(evidence, options):
            """The one-hot of a class drawn with the probabilities ``p ** (1 / heat)``."""
            p = average(evidence) ** (1 / options["heat"])
            until = p.cumsum(axis=1) / p.sum(axis=1, keepdims=True)
            u = keyed.rng("drawn labels", options["seed"], *evidence.seed).random((len(p), 1))
            return label_table(evidence, one_hot((u >= until[:, :-1]).sum(axis=1), p.shape[1]), options)
        ''',
    "labels/folded.py": '''
        """Votes, and what networks say of items that they did not learn from."""

        from .evidence import average, label_table

        ENTRY = {
            "about": "The average of the votes, mixed with out-of-fold predictions.",
            "options": {"share": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5, "description": "Mix."}},
            "shared": ["folds", "trained_on", "recipe"],
        }


        def aggregate(evidence, options):
            """``(1 - share) p + share q``."""
            p = (1 - options["share"]) * average(evidence) + options["share"] * evidence.out_of_fold
            return label_table(evidence, p, options)
        ''',
    "training/deliveries/redrawn.py": '''
        """A class drawn from the label in each epoch."""

        import numpy as np

        from ... import keyed

        ENTRY = {
            "about": "A class drawn from the label in each epoch.",
            "options": {"after": {"type": "integer", "minimum": 0, "default": 0, "description": "Epochs before."}},
        }


        def targets(data, epoch, seed, options):
            """The label itself in the first epochs, then one-hots."""
            if epoch <= options["after"]:
                return data.target
            u = keyed.rng("redrawn", seed, epoch).random((len(data.target), 1))
            drawn = (u >= data.target.cumsum(axis=1)[:, :-1]).sum(axis=1)
            return np.eye(data.target.shape[1], dtype=np.float32)[drawn]
        ''',
    "evaluation/metrics/vote_loss.py": '''
        """Log loss of single votes."""

        import math

        ENTRY = {
            "about": "Mean negative log-probability of a vote, every vote counting alike.",
            "options": {"base": {"type": "number", "exclusiveMinimum": 1, "default": 2, "description": "Of the log."}},
            "heading": "vote loss",
            "better": "lower",
            "unit": "bits",
            "decimals": 3,
            "source": "Good 1952",
            "needs": ["votes"],
        }


        def metric(aligned, options):
            """In units of the base."""
            counts = aligned.counts
            return float(-(counts * aligned.log_prediction).sum() / counts.sum() / math.log(options["base"]))
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
    "datasets": {
        "stripes": {"source": {"kind": "stripes", "items": 80}},
        "people": {"source": {"kind": "synthetic", "items": 150, "pixels": 16, "votes": 5, "annotators": 9}},
    },
    "splits": {"random": {}, "other": {"train": 0.5, "val": 0.2, "test": 0.3}},
    "labels": {
        "hard": {"aggregate": "majority", "form": "hard"},
        "soft": {"aggregate": "average", "form": "soft"},
        "flattened": {"aggregate": {"kind": "flattened", "alpha": 0.3}, "form": "soft"},
        "reliable": {"aggregate": {"kind": "reliable", "power": 2}, "form": "soft"},
        "drawn": {"aggregate": {"kind": "drawn", "heat": 2}, "form": "soft"},
        "shown": {"aggregate": "average", "form": "soft", "votes": 3, "delivery": {"kind": "redrawn", "after": 1}},
        "folded": {
            "aggregate": {"kind": "folded", "folds": 2, "trained_on": "reliable", "recipe": "new"},
            "form": "soft",
        },
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
            "labels": ["hard", "flattened"],
            "seeds": [0],
            "metrics": ["macro_acc", "kl", "kl_dcic", {"kind": "top_k", "k": 3}],
            "tables": ["main", "further", {"kind": "ranking", "metric": "top_k__k_3"}],
            "figures": ["curves", {"kind": "bars", "metric": "kl"}],
        },
        "people": {
            "datasets": ["people"],
            "splits": ["random", "other"],
            "recipes": ["new"],
            "labels": ["reliable", "drawn"],
            "seeds": [0],
            "metrics": ["macro_acc", "kl", "kl_dcic", {"kind": "vote_loss", "base": 2.5}],
            "figures": [],
        },
        "shown": {
            "datasets": ["people"],
            "recipes": ["new"],
            "labels": ["shown", "folded"],
            "seeds": [0],
            "figures": [],
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
# Of people: four runs with vote_loss, two more, and two that leave a fold out, with a label and a split of their own.
NEW = {
    "data": 2, "card": 2, "label": 9, "split": 5, "references": 6, "train": 12, "evaluate": 18, "study": 4,
    "chain": 4, "figure": 3,
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
    assert set(found) == {"hard", "flattened"}
    results = extended.folder / "results/tiny"
    files = results.glob("labels/people/**/*.parquet")
    assert {str(path.relative_to(results / "labels/people")) for path in files} == {
        "random/reliable/seed0.parquet", "other/reliable/seed0.parquet", "drawn/seed0.parquet", "shown/seed0.parquet",
        "random/folded/seed0.parquet", *(f"random/reliable/seed0-fold{k}of2.parquet" for k in range(2)),
    }  # fmt: skip
    assert "vote loss (base 2.5) ↓" in (results / "studies/people/table.md").read_text()
    told = extended.softlabels("explain", "results/tiny/studies/people", "reliable other", "vote_loss__base_2p5")
    assert "labels/people/other/reliable/seed0.parquet" in told
    told = extended.softlabels("explain", "results/tiny/studies/shown", "folded", "kl")
    assert "runs/people/random/new/reliable/seed0-fold1of2" in told

    assert "flattened" in extended.softlabels("explain", "results/tiny/studies/extended", "flattened new", "top_k__k_3")
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
    kinds = {
        "aggregate": "flattened", "delivery": "redrawn", "loss": "elr", "optimiser": "adamw", "schedule": "steps",
        "network": "plain", "metric": "top_k", "source": "stripes", "table": "ranking", "figure": "bars",
    }  # fmt: skip
    for kind, name in kinds.items():
        assert f"{kind}_{name}" in schema["$defs"]
        assert f"**`{name}`**" in options
    extended.edit(CONFIG, ("kind: elr", "kind: erl"), ("every: 1", "evry: 1"))
    wrong = extended.softlabels("check", CONFIG, status=2)
    assert "recipes.new.loss: Unknown loss 'erl'" in wrong
    assert "Did you mean 'elr'?" in wrong
    assert "recipes.new.schedule: unknown key 'evry'; did you mean 'every'?" in wrong
