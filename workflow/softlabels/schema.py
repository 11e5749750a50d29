"""The schema of the configuration, put together from the sections below and from what each entry says of its options.

Rules are JSON Schema with a few words more: ``registry`` (a kind and its options: a text ``cosine`` is short for
``{kind: cosine}``), ``$ref`` (a rule of :data:`SHARED`), ``required`` in an option, ``moved`` (where the key belongs),
``named`` (definitions by name), ``ordered`` (a range, low before high), ``input`` (a path, and the name of the input of
the command), ``neutral`` (the value that means "as before this key existed", which is not tracked) and ``instead_of``
(keys of another form of a definition, and a sentence). Standard library only, as each job starts with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

from . import registry
from .errors import UserError


def _key(description: str, default: Any = ..., **rule: Any) -> dict[str, Any]:
    """The rule of a key; it is required, or may be absent, where there is no default."""
    return {**rule, **({} if default is ... else {"default": default}), "description": description}


def _table(description: str, properties: dict[str, Any]) -> dict[str, Any]:
    """The rule of keys that stand together, each with a default."""
    return {"type": "object", "additionalProperties": False, **_key(description, {}), "properties": properties}


SHARED = {
    "range": {"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 2, "maxItems": 2},
    "archive": _key("Archive (.zip) that is unpacked for the import only; a published one is downloaded if it is not "
        "there.", None, type=["string", "null"]),
    "checksum": _key("Hash that the archive must have - `published` (where one is known), `sha256:…`, `md5:…`, or null "
        "for none.",
        "published", type=["string", "null"], pattern="^(published|sha256:[0-9a-fA-F]{64}|md5:[0-9a-fA-F]{32})$"),
    "order": _key("Whether row i belongs to the i-th file by name, or a column names the file.",
        "index", enum=["index", "name"]),
    "name_column": _key("For `order: name`, the column with the file names.", "name", type="string"),
    "group_column": _key("Column with the group (animal, slide, video) that must not straddle a split.",
        None, type=["string", "null"]),
    "separator": _key("What separates the cells of a CSV file (a blank - any number of them).",
        ",", enum=[",", ";", "\t", "|", " "]),
    "unvoted": _key("What happens to images without a vote.", "refuse", enum=["refuse", "leave_out"]),
    "missing": _key("What happens to rows without a label - an empty cell, or `None`, `<NA>`, `null`, `N/A`, "
        "`undefined`, `nan`, unless `classes` lists it.", "refuse", neutral="refuse", enum=["refuse", "leave_out"]),
    "repeats": _key("Which votes count where an annotator voted several times on an image - none (`refuse`, an error), "
        "the `first` or `last` (by time where it is known, else by row), or `all`.",
        "refuse", neutral="refuse", enum=["refuse", "first", "last", "all"]),
    "minimum_votes": _key("Images with fewer votes are left out.", 1, neutral=1, type="integer", minimum=1),
    "follow_links": _key("Whether images may be links to files outside of their folder, as in the stores of Hugging "
        "Face, DataLad and DVC.", False, neutral=False, type="boolean"),
    "pseudonymise": _key("Whether annotators are renamed annotator-0001 and so on.", True, type="boolean"),
    "deep": _key("How grey values of more than 8 bits become 8 - `scale` (65535 becomes 255), `stretch` (each image's "
        "own range), or one range for all images: of grey values (`low` and all below becomes 0, `high` and all above "
        "255), or of two percentiles of those of the whole data set.", "refuse", anyOf=[
        {"enum": ["refuse", "scale", "stretch"]},
        {"type": "object", "additionalProperties": False, "required": ["low", "high"], "properties": {
            "low": {"type": "number", "description": "Grey value that becomes 0, as all below it (required)."},
            "high": {"type": "number", "description": "Grey value that becomes 255, as all above it (required)."}}},
        {"type": "object", "additionalProperties": False, "required": ["percentiles"], "properties": {
            "percentiles": {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 100}, "minItems": 2,
                "maxItems": 2, "ordered": True, "description": "Per cent of all grey values of the data set that lie "
                "at or below `low`, and `high` (required)."}}}]),
    "classes": _key("Class names in index order; null takes them from the data. A mapping makes classes of labels, as "
        "in `{cat: [cat, kitten], skip: null}`: votes for a label that is null are left out.",
        None, anyOf=[{"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 2,
        "uniqueItems": True}, {"type": "object", "minProperties": 2, "additionalProperties": {"anyOf": [
        {"type": ["string", "integer"]}, {"type": "array", "items": {"type": ["string", "integer"]}, "minItems": 1},
        {"type": "null"}]}}, {"type": "null"}]),
    "pixels": _key("Side that images are resized to; null demands that all have one size.",
        None, anyOf=[{"type": "integer", "minimum": 8, "maximum": 4096}, {"type": "null"}]),
    "resize": _key("How images that are not square become so.", "stretch", enum=["stretch", "crop", "pad"]),
    "image": _key("Key or column of the export whose texts name the images; null takes the one that names images of "
        "the folder.", None, type=["string", "null"]),
    "finding": _key("Of answers with several choices, the one that is asked for: votes are whether it was among them "
        "(classes `not NAME` and `NAME`).", None, type=["string", "null"]),
    "several": _key("What happens to answers with several choices, as a vote is for one class.",
        "refuse", enum=["refuse", "leave_out"]),
    "fit_on": _key("Which items an estimate learns from - those of the training part, or all.",
        "train", enum=["train", "all"]),
    "iterations": _key("Steps of EM, at most.", 100, type="integer", minimum=1),
    "tolerance": _key("Change of the evidence lower bound a vote (nats) at which it ends.", 1e-5, type="number",
        exclusiveMinimum=0),
    "folds": _key("Into how many parts the training items are divided, each to be predicted by a network that did not "
        "learn from it.", 5, type="integer", minimum=2, maximum=100),
    "trained_on": _key("Label that these networks learn from.", "hard", type="string"),
    "recipe": _key("Recipe of these networks, by its name under `recipes` (required).", type="string", required=True),
    "groups": _key("Whether items of one group stay in one part.", True, type="boolean"),
    "allow_missing_class": _key("Accept a part in which a class has no item.", False, type="boolean"),
    "duplicates": _key("Whether images with exactly the same pixels stay in one part.",
        "together", enum=["together", "apart"]),
    "calibration": _key("Share of the validation items (or of the groups of them that stay whole) that are kept for "
        "calibration alone, such as 0.5 - neither trained on, nor chosen by, nor scored. Metrics of label sets need "
        "them.", 0, neutral=0, type="number", minimum=0, exclusiveMaximum=1),
    "metrics": _key("Which metrics of the study, or numbers of a group of items or classes, such as `kl@clear` or "
        "`macro_acc@shape`; null: those of the main table.", None, neutral=None, type=["array", "null"],
        items={"type": "string"}, minItems=1, uniqueItems=True),
    "truth": _key("What a prediction is judged by - an item's `votes`, each with its share, or the reference's most "
        "probable class (`majority`).", enum=["votes", "majority"]),
    "class_order": _key("The classes from the lowest to the highest; null takes the order of the data set.", None,
        type=["array", "null"], items={"type": "string"}, uniqueItems=True),
    "coverage": _key("With which probability a vote should be in the label set of its item.", 0.9, type="number",
        exclusiveMinimum=0, exclusiveMaximum=1),
    "agreement": _key("Which votes count - all, or those on which an item's other votes, two at least, are `unanimous` "
        "or `disputed` (of an exact reference: items with one class, or several).",
        "all", enum=["all", "unanimous", "disputed"]),
    "vote_seed": _key("Which vote is drawn for each item that the threshold comes from.", 0, type="integer", minimum=0),
    "names": {"type": "array", "items": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_]*$"}, "minItems": 1,
        "uniqueItems": True},
}  # fmt: skip

DATASET = {
    "source": _key("Where images and votes come from; its kind says which keys it has (required).", registry="source"),
    "reference": _key("What predictions are scored against: the share of the votes, the exact distribution (of "
        "synthetic sources, and of `distributions`), or the votes of half of the people, while labels are made of the "
        "others' (`other_people`); null takes the votes where the source has votes.",
        None, enum=["exact", "votes", "other_people", None]),
    "reference_seed": _key("Who is in which half, for `reference: other_people`.", 0, type="integer", minimum=0),
    "paper": _key("Row of the paper's Table 1 that is printed beside this data set's results.",
        None, enum=["synthetic", "mice_bone", None]),
    "groupings": _key("Classes that are also scored merged, such as `animal: {pet: [cat, dog], wild: [fox]}`: each "
        "class in one group. Null takes those of the source (colour and shape of the synthetic set).",
        None, anyOf=[{"type": "object", "propertyNames": {"pattern":  # strata have names of their own
        "^(?!(all|clear|ambiguous|closest|unanimous|disputed|panel|truth)$)[a-z][a-z0-9_]*$"}, "additionalProperties":
        {"type": "object", "minProperties": 2, "additionalProperties": {"type": "array", "minItems": 1,
        "items": {"type": "string"}}}}, {"type": "null"}]),
    "private": _key("Whether the page of results shows neither images nor their names; in `items.csv` and in exports, "
        "too, names are item numbers. An export still holds the images, and manifests where they lay.", False,
        type="boolean"),
    "about": _table("What the data card says of the data set's origin. Published files that are known fill it in.", {
        "description": _key("What the data are.", None, type=["string", "null"]),
        "licence": _key("Licence of images and votes.", None, type=["string", "null"]),
        "citation": _key("What to cite.", None, type=["string", "null"]),
        "homepage": _key("Where the data are described.", None, type=["string", "null"]),
    }),
}  # fmt: skip

LABEL = {
    "aggregate": _key("How votes become a distribution (required).", registry="aggregate"),
    "form": _key("Whether the network sees the distribution or its most likely class (required).",
        enum=["soft", "hard"]),
    "votes": _key("How many votes of each image the label is made of, drawn anew with each seed of a study; where "
        "annotators are known, the votes of so many people.",
        "all", neutral="all", anyOf=[{"type": "integer", "minimum": 1}, {"type": "string", "enum": ["all"]}]),
    "items": _key("How many images of the training part have a label at all, drawn anew with each seed of a study "
        "(more are those of fewer, and others); of validation images the same share has one. Null: all.",
        None, neutral=None, type=["integer", "null"], minimum=1),
    "ties": _key("Which class wins a tie of votes; `drop` trains without such items. Ties are counted either way. Null "
        "is `lowest_index`, or `random` where votes are drawn.",
        None, enum=["lowest_index", "random", "drop", None]),
    "seed": _key("Seed of what is drawn, `ties: random` too.", 0, type="integer", minimum=0),
    "delivery": _key("What a network is shown of the label in each epoch.",
        "expected", registry="delivery", neutral={"kind": "expected"}),
}  # fmt: skip

RECIPE = {
    "network": _key("Network (required).", registry="network"),
    "train": _key("What is trained - all of the network, or a linear head alone (`head`) - to convergence, on features "
        "that the network gives of images without augmentation.", "all", neutral="all", enum=["all", "head"]),
    "weights": _key("Initial weights of all but the last layer - random ones, those learned from ImageNet, those that "
        "timm has for the network's name (`pretrained`), those of a package of the lock file (`packaged`), or of a "
        "file.", "none", enum=["none", "imagenet", "pretrained", "packaged", "file"]),
    "weights_file": _key("For `weights: file`, safetensors or PyTorch weights.", None, type=["string", "null"]),
    "upscale": _key("Side that square images are enlarged to before the network sees them, for networks that were "
        "trained on larger ones.", None, neutral=None, type=["integer", "null"], minimum=8, maximum=4096),
    "dropout": _key("Share of features dropped before the head.", 0, type="number", minimum=0, exclusiveMaximum=1),
    "epochs": _key("Passes over the training part.", 60, type="integer", minimum=1),
    "hold": _key("What is equal across labels where a label drops items.", "epochs", enum=["epochs", "steps"]),
    "batch": _key("Images a step.", 128, type="integer", minimum=2),
    "shuffle_buffer": _key("Null shuffles all training items in each epoch. A number is the size of a shuffle buffer "
        "(as `tf.data` has it) that runs over the items sorted by the class that the reference finds most probable, as "
        "where a list that lies in order of the classes is shuffled too little.",
        None, neutral=None, type=["integer", "null"], minimum=1),
    "rate": _key("Base learning rate.", 0.1, type="number", exclusiveMinimum=0),
    "optimiser": _key("How gradients become steps.", "sgd", registry="optimiser"),
    "momentum": _key("Short for optimiser.momentum.", moved="optimiser.momentum"),
    "weight_decay": _key("Short for optimiser.weight_decay.", moved="optimiser.weight_decay"),
    "warmup_epochs": _key("Epochs of linear warm-up before the schedule.", 0, type="number", minimum=0),
    "schedule": _key("Learning rate over time, as a share of `rate`.", "cosine", registry="schedule"),
    "loss": _key("Loss.", "cross_entropy", registry="loss"),
    "class_weight": _key("Weights against class imbalance from the training part: `argmax` weighs items by their hard "
        "class; `per_class` weighs the terms of the loss, which moves the optimum of soft labels away from the "
        "distribution.", "none", enum=["none", "argmax", "per_class"]),
    "augment": _table("Augmentation; the defaults leave the label of the synthetic set true.", {
        "flips": _key("Flips left to right, or also top to bottom.", "both", enum=["none", "horizontal", "both"]),
        "quarter_turns": _key("Turns by 90 degrees.", True, type="boolean"),
        "zoom": _key("Smallest share of the sides that is kept.", 1, type="number", exclusiveMinimum=0, maximum=1),
        "zoom_probability": _key("How often an image is zoomed.", 0.3, type="number", minimum=0, maximum=1),
        "hue": _key("Largest turn of the hue (share of the circle).", 0, type="number", minimum=0, maximum=0.5),
        "saturation": _key("Range of the factor on saturation.", [1, 1], **{"$ref": "range"}, ordered=True),
        "brightness": _key("Largest shift of brightness.", 0, type="number", minimum=0, maximum=1),
        "contrast": _key("Range of the factor on contrast.", [1, 1], **{"$ref": "range"}, ordered=True),
    }),
    "select": _key("Weights that are kept - of the last epoch, or of the lowest cross-entropy of the run's own "
        "validation labels.", "last", enum=["last", "best_validation"]),
    "device": _key("Where training runs; `cuda` without a GPU is an error.", "cpu", enum=["cpu", "cuda"]),
    "precision": _key("Arithmetic of the training steps (predictions and validation are float32); `auto` is "
        "bfloat16 on a GPU and float32 on a CPU; `bfloat16` needs a CPU that computes with it (AVX512-BF16, AMX).",
        "auto", enum=["auto", "float32", "bfloat16"]),
    "compile": _key("Whether the training steps run the network through torch.compile - faster, once it is compiled, "
        "which takes about a minute; needs a C++ compiler (on a GPU Triton and a C compiler). Other rounding.",
        False, neutral=False, type="boolean"),
    "threads": _key("CPU threads of one training.", 1, type="integer", minimum=1, maximum=256),
}  # fmt: skip

# A recipe that trains nothing but a linear head, to convergence, on features that a frozen network computes once.
HEAD = {
    **{key: RECIPE[key] for key in ("network", "train", "weights", "weights_file", "upscale")},
    "class_weight": _key("Weights against class imbalance from the training part: `argmax` weighs items by their hard "
        "class.", "none", enum=["none", "argmax"]),
    "penalties": _key("L2 penalties to choose among, by the cross-entropy of the run's own validation labels - half of "
        "one times the sum of squared weights (of standardised features) is added to the mean cross-entropy. They are "
        "tried from the largest on, until three in a row are worse than the best.",
        [10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001],
        type="array", items={"type": "number", "exclusiveMinimum": 0}, minItems=1, uniqueItems=True),
    "device": _key("Where features are computed; `cuda` without a GPU is an error.", "cpu", enum=["cpu", "cuda"]),
    "threads": _key("CPU threads that compute features; a head is fitted on one.", 1, type="integer", minimum=1,
        maximum=256),
}  # fmt: skip

FILE = {"type": "string", "minLength": 1}
# A recipe whose networks were trained elsewhere: what they predict is read from files.
ADOPTED = {
    "predictions": _key("Files of predictions made elsewhere, by label and seed (required): CSV or Parquet with a "
        "column of items and one a class, or `.npy` `[N, C]` in the order of the data set; `{file, names}` where a "
        "text file names the rows of a `.npy`, one a line.", type="object", minProperties=1,
        additionalProperties={"type": "object", "minProperties": 1, "additionalProperties": {"anyOf": [
        FILE, {"type": "object", "additionalProperties": False, "required": ["file"],
        "properties": {"file": FILE, "names": FILE}}]}}),
    "values": _key("What the numbers are. Null looks: probabilities where no number is negative and every row sums to "
        "1 ± 0.01, logits where some are negative and at most half of the rows are such; anything else is an error.",
        None, enum=["logits", "probabilities", None]),
    "item_column": _key("Column with the names of the items; null is the one column that is no class.",
        None, type=["string", "null"]),
    "separator": _key("What separates the cells of a CSV file.", **{"$ref": "separator"}),
    "zero": _key("What a probability of 0 counts as (before rows are divided by their sum), such as 1e-6; null refuses "
        "it, as one item would make the divergence of all infinite.",
        None, anyOf=[{"type": "number", "exclusiveMinimum": 0, "maximum": 0.01}, {"type": "null"}]),
}  # fmt: skip

STUDY = {
    "datasets": _key("Data sets (required).", **{"$ref": "names"}),
    "splits": _key("Splits.", ["random"], **{"$ref": "names"}),
    "recipes": _key("Recipes (required).", **{"$ref": "names"}),
    "labels": _key("Labels; differences are taken against the first.", ["hard", "soft"], **{"$ref": "names"}),
    "seeds": _key("Seeds; each is a split and a set of initial weights and draws.",
        [0, 1, 2], type="array", items={"type": "integer", "minimum": 0}, minItems=1, uniqueItems=True),
    "metrics": _key("Metrics.",
        ["macro_acc", "kl", "tvd", "soft_ece", "entropy_correlation", "kl_dcic", "acc", "ce", "js", "brier",
        "entropy_difference", "soft_ece_calibrated", "ece", "vote_acc", "macro_f1", "soft_macro_f1", "second_best_acc",
        "top2_set", "chebyshev", "clark", "canberra", "cosine", "brier_unbiased"], type="array",
        items={"registry": "metric"}, minItems=1, uniqueItems=True),
    "ddof": _key("Standard deviation of the sample (1) or the population (0).", 1, type="integer", enum=[0, 1]),
    "level": _key("Level of the intervals.", 0.95, type="number", exclusiveMinimum=0, exclusiveMaximum=1),
    "embedding": _table("t-SNE of the pooled features of the first seed's test items.", {
        "perplexity": _key("Perplexity.", 30, type="number", exclusiveMinimum=0),
        "iterations": _key("Iterations.", 5000, type="integer", minimum=250),
        "init": _key("Initialisation.", "pca", enum=["pca", "random"]),
        "seed": _key("Seed.", 0, type="integer", minimum=0),
    }),
    "tables": _key("Tables, in order.",
        ["main", "differences", "confidence", "strata", "truth", "references", "paper", "further", "recall",
        "structure"], type="array",
        items={"registry": "table"}, minItems=1, uniqueItems=True),
    "figures": _key("Figures; null: `embedding` and `curves`; of a study that varies something `over` alone, of one "
        "whose points have names `points`.",
        None, anyOf=[{"type": "array", "items": {"registry": "figure"}, "uniqueItems": True}, {"type": "null"}]),
    "claims": _key("Statements that the study is held against - names of ready ones, and claims of your own. Each "
        "gets a verdict in the table `verdicts`, which is put in behind the main one.", [], neutral=[], type="array",
        uniqueItems=True, items={"anyOf": [{"type": "string", "minLength": 1}, {"type": "object",
        "additionalProperties": False, "required": ["contrast", "metric", "direction"], "properties": {
        "name": _key("What the verdict calls it; null: `claim_1` and so on.", None, type=["string", "null"],
            pattern="^[a-z0-9][a-z0-9_]*$", maxLength=60),
        "contrast": _key("Two labels: the first compared with the second (`others`: with every other soft label).",
            type="array", items={"type": "string"}, minItems=2, maxItems=2),
        "metric": _key("Metric of the study.", type="string"),
        "direction": _key("What the first label's metric is, compared with the second's.",
            enum=["lower", "higher", "equal", "not_lower", "not_higher"]),
        "margin": _key("Of `equal`, up to which difference two are equal, of `not_lower` and `not_higher`, which "
            "difference is still not one (required); of the others, by how much.",
            None, type=["number", "null"], minimum=0),
        "at": _key("Values of varied keys, such as `{label.votes: 3}`, of the points that it is about; two such "
            "mappings, one a label, compare points.", {}, anyOf=[{"type": "object"},
            {"type": "array", "items": {"type": "object"}, "minItems": 2, "maxItems": 2}]),
        "text": _key("Whether it was found on text, so that it is asked whether it carries over to images.", False,
            type="boolean"),
        "population": _key("What it was found on.", "", type="string"),
        "source": _key("Where it was published.", "", type="string"),
        }}]}),
    "vary": _key("Values of keys of the study's data sets, splits, recipes or labels, such as `recipe.epochs: [5, 10]` "
        "(`source.votes` is short for `dataset.source.votes`): the study runs all combinations.", {}, type="object",
        additionalProperties={"type": "array", "minItems": 1, "uniqueItems": True}),
    "points": _key("In place of `vary`, the combinations themselves, each a mapping of keys to values. Where each has "
        "a `name`, tables have one column with it in place of the keys.", [], type="array",
        items={"type": "object", "properties": {
        "name": {"type": "string", "pattern": "^\\S(.*\\S)?$", "maxLength": 60,
        "description": "What tables call the point (required where another has one)."}}}),
    "limit": _key("How many trainings a study that varies something may ask for, without those that leave a "
        "fold out.", 1000, type="integer", minimum=1),
}  # fmt: skip

TOP = {
    "about": _key("One line about what this configuration does and what it costs; shown before a run starts.",
        "", type="string"),
    "results": _key("Folder that everything is written to (no braces). Two configurations that define one name "
        "differently need two folders.", "results", type="string", pattern="^[^{}]+$"),
    "data_folder": _key("Folder that relative paths of data sources (images, counts, votes, weights) start from.",
        ".", type="string"),
    "modules": _key("Folder of your own modules: losses, labels and so on that are named `module:function`.",
        ".", type="string"),
    "gpu_slots": _key("How many trainings share a GPU of this machine (on a cluster, each has its own). Results do not "
        "depend on it.", 1, type="integer", minimum=1, maximum=64),
    "report": _table("What the page of results (report/index.html) shows.", {
        "images": _key("Small pictures of test images, or none of any image.", "thumbnails",
            enum=["thumbnails", "none"]),
    }),
    "datasets": _key("Data sets by name.", {}, named="dataset"),
    "splits": _key("Splits into training, validation and test parts, by name.", {"random": {}}, named="split"),
    "labels": _key("What a network is trained on, by name.",
        {"hard": {"aggregate": "majority", "form": "hard"}, "soft": {"aggregate": "average", "form": "soft"}},
        named="label"),
    "recipes": _key("How a network is trained, by name.", {}, named="recipe"),
    "studies": _key("Grids of data sets, splits, recipes, labels and seeds, each with one table (required).",
        named="study", minProperties=1),
}  # fmt: skip

NAME = "^[a-z0-9][a-z0-9_]*$"
SECTIONS = {"dataset": (DATASET, ["source"]), "label": (LABEL, ["aggregate", "form"]), "recipe": (RECIPE, ["network"]),
            "study": (STUDY, ["datasets", "recipes"])}  # fmt: skip


def _inline(rule: Any) -> Any:
    """A rule with the rules of :data:`SHARED` in the place of references to them."""
    if isinstance(rule, list):
        return [_inline(part) for part in rule]
    if not isinstance(rule, dict):
        return rule
    shared = SHARED[rule["$ref"]] if isinstance(rule.get("$ref"), str) else {}
    return shared | {key: _inline(value) for key, value in rule.items() if key != "$ref"}


def _object(properties: dict[str, Any], required: list[str], **more: Any) -> dict[str, Any]:
    of_keys = {"additionalProperties": False, "properties": _inline(properties), "required": required}
    return {"type": "object", **of_keys, **more}


OF_EVERY = {"split": ("groups", "allow_missing_class", "duplicates", "calibration")}  # options of every entry of a kind


def options(kind: str, name: str) -> dict[str, Any]:
    """The rule of an entry's options, ``kind`` included; a UserError where there is no such entry."""
    about = registry.entry(kind, name)
    own = {key: dict(rule) for key, rule in about["options"].items()}
    shared = (*about.get("shared", ()), *OF_EVERY.get(kind, ()))
    if wrong := [key for key in (*shared, *(r["$ref"] for r in own.values() if "$ref" in r)) if key not in SHARED]:
        raise UserError(
            f"{kind} '{name}': ENTRY shares '{wrong[0]}', expected some of {', '.join(SHARED)}. Correct it."
        )
    own |= {key: dict(SHARED[key]) for key in shared}
    required = [key for key, rule in own.items() if rule.pop("required", False)]
    properties = {"kind": {"const": name, "description": about["about"]}, **own}
    return _object(properties, ["kind", *required], entry=[kind, name])


def defaults(kind: str, name: str) -> dict[str, Any]:
    """The default values of an entry's options; a UserError where there is no such entry."""
    rules = options(kind, name)["properties"]
    return {key: complete(rule["default"], rule) for key, rule in rules.items() if "default" in rule}


def paths(kind: str, name: str) -> dict[str, str]:
    """The keys of an entry that are paths, and the names of the command's inputs."""
    rules = options(kind, name)["properties"]
    return {key: rule["input"] for key, rule in rules.items() if "input" in rule}


@cache
def section(name: str) -> dict[str, Any]:
    """The rule of a data set, split, label, recipe or study; of the whole configuration for ``""``."""
    if name == "split":
        return {"registry": "split", "default": "random"}
    if name == "recipe":
        nothing = "a recipe with 'predictions' trains nothing. Remove one of the two."
        head = (
            "a recipe with 'train: head' fits linear heads to convergence, on features without augmentation. Remove "
            "the key, or train: head."
        )
        only = "only a recipe with 'train: head' has it. Add that, or remove the key."
        own = [key for key in HEAD if key not in RECIPE]
        trained = {
            "if": {"type": "object", "required": ["train"], "properties": {"train": {"const": "head"}}},
            "then": _object(HEAD, ["network"], instead_of=dict.fromkeys(RECIPE, head)),
            "else": _object(*SECTIONS[name], instead_of=dict.fromkeys(own, only)),
        }
        return {
            "if": {"type": "object", "required": ["predictions"]},
            "then": _object(ADOPTED, ["predictions"], instead_of=dict.fromkeys([*RECIPE, *own], nothing)),
            "else": trained,
        }
    if name:
        return _object(*SECTIONS[name])
    names = {"type": "object", "propertyNames": {"pattern": NAME}}
    top = {key: {**names, "additionalProperties": section(rule["named"]), **rule} if "named" in rule else rule
           for key, rule in TOP.items()}  # fmt: skip
    return _object(top, ["studies"])


def branches(value: Any, rule: dict[str, Any]) -> list[dict[str, Any]]:
    """``rule``, its options that are not null, and the rule of the entry that ``value`` names.

    Of a rule with two forms (``if``: a key is there, or has a value), the one that ``value`` has.
    """
    rules = [rule]
    if "if" in rule:
        there = isinstance(value, dict) and value.keys() >= {*rule["if"]["required"]}
        there = there and all(value[key] == sub["const"] for key, sub in rule["if"].get("properties", {}).items())
        rules += branches(value, rule["then" if there else "else"])
    for option in rule.get("anyOf", []):  # here always "something or null"
        if option.get("type") != "null":
            rules += branches(value, option)
    if "registry" in rule and isinstance(value, dict) and isinstance(value.get("kind"), str):
        with suppress(UserError):  # the check of the configuration tells
            rules.append(options(rule["registry"], value["kind"]))
    return rules


def _properties(rules: list[dict[str, Any]]) -> dict[str, Any]:
    """The rules of all keys; where several rules know one, the first says what it is."""
    return {key: sub for rule in reversed(rules) for key, sub in rule.get("properties", {}).items()}


def properties(value: Any, rule: dict[str, Any]) -> dict[str, Any]:
    """The rules of the keys that a mapping may have."""
    return _properties(branches(value, rule))


def parts(value: Any, rule: dict[str, Any]) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
    """Key or index, value and rule of each part of a mapping or list."""
    rules = branches(value, rule)
    if isinstance(value, dict):
        properties = _properties(rules)
        others = next((r["additionalProperties"] for r in rules if isinstance(r.get("additionalProperties"), dict)), {})
        yield from ((key, sub, properties.get(key, others)) for key, sub in value.items())
    elif isinstance(value, list):
        items = next((r["items"] for r in rules if "items" in r), {})
        yield from ((index, sub, items) for index, sub in enumerate(value))


def _each(change: Callable[[Any, dict[str, Any]], Any], value: Any, rule: dict[str, Any]) -> Any:
    """``value``, a mapping or list with ``change`` made to each part, or anything else as it is."""
    if isinstance(value, dict):
        return {key: change(sub, subrule) for key, sub, subrule in parts(value, rule)}
    return [change(sub, subrule) for _, sub, subrule in parts(value, rule)] if isinstance(value, list) else value


def chosen(value: Any, rule: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind of every entry that a complete configuration names, and its options with its name (``kind``)."""
    if "registry" in rule and isinstance(value, dict) and isinstance(value.get("kind"), str):
        yield rule["registry"], value
    for _, sub, subrule in parts(value, rule):
        yield from chosen(sub, subrule)


def entries(value: Any, rule: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Kind and name of every entry that a complete configuration names."""
    return ((kind, options["kind"]) for kind, options in chosen(value, rule))


def aggregates(label: dict[str, Any]) -> list[dict[str, Any]]:
    """The options of a label's aggregate, and of those that it is made of."""
    return [options for _, options in chosen(label["aggregate"], LABEL["aggregate"])]


def complete(value: Any, rule: dict[str, Any]) -> Any:
    """``value`` with the defaults of ``rule`` filled in and numbers normalised; what is wrong is left as it is."""
    if "registry" in rule:
        if isinstance(value, str):
            value = {"kind": value}
        if isinstance(value, dict) and "kind" not in value and "default" in rule:
            value = {"kind": rule["default"], **value}
    rules = branches(value, rule)
    if isinstance(value, dict):
        properties = _properties(rules)
        value = _moved({str(key): sub for key, sub in value.items()}, properties)
        for key, sub in properties.items():
            default = next((r["default"] for r in branches(None, sub) if "default" in r), ...)
            if key not in value and default is not ...:
                value[key] = default
    if isinstance(value, (dict, list)):
        return _each(complete, value, rule)
    kinds = {r["type"] for r in rules if isinstance(r.get("type"), str)}
    if isinstance(value, str):
        # YAML 1.1 reads 1e-4 as text, Snakemake every value inside `--config key={...}`.
        if kinds & {"number", "integer"} and re.fullmatch(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?", value):
            value = float(value)
        elif "boolean" in kinds:
            value = {"true": True, "false": False}.get(value, value)
    if isinstance(value, float) and "integer" in kinds and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and "number" in kinds and abs(value) < 2**53:
        return float(value)
    return value


def _moved(value: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    """``value`` with each key where it belongs; one that is given in both places stays, and is refused."""
    for key, rule in properties.items():
        if key not in value or "moved" not in rule:
            continue
        target, _, inside = rule["moved"].partition(".")
        there = value.get(target, {})
        there = {"kind": there} if isinstance(there, str) else there
        if isinstance(there, dict) and inside not in there:
            value[target] = {**there, inside: value.pop(key)}
    return value


# -- what is tracked ---------------------------------------------------------------------------------------------------


def _neutral(rule: dict[str, Any]) -> Any:
    """The neutral value of a key; one without has none that a configuration could hold."""
    return complete(rule["neutral"], rule) if "neutral" in rule else ...


def tracked(value: Any, rule: dict[str, Any]) -> Any:
    """A complete ``value`` without the keys that have their neutral value: a key added later makes nothing stale."""
    if isinstance(value, dict):
        value = {key: sub for key, sub, subrule in parts(value, rule) if sub != _neutral(subrule)}
    return _each(tracked, value, rule)


def restored(value: Any, rule: dict[str, Any]) -> Any:
    """``value`` with the keys again that :func:`tracked` left out."""
    if isinstance(value, dict):
        neutral = {key: _neutral(sub) for key, sub in _properties(branches(value, rule)).items() if "neutral" in sub}
        value = {**value, **{key: sub for key, sub in neutral.items() if key not in value}}
    return _each(restored, value, rule)


@cache
def of_command() -> dict[str, Any]:
    """The rule of the keys that configurations of commands have in common with the configuration."""
    ones = {name: section(name) for name in ("recipe", "label", "split")}
    several = {f"{name}s": {"additionalProperties": rule} for name, rule in ones.items()}
    lists = {f"{kind}s": {"items": {"registry": kind}, "additionalProperties": {"registry": kind}}
             for kind in ("metric", "table", "figure")}  # fmt: skip
    single = {"source": DATASET["source"], **{kind: {"registry": kind} for kind in ("delivery", "figure", "table")}}
    return {"properties": {**single, **ones, **several, **lists}}
