"""Images with vote counts: a matrix of items by classes, as ``.npy``, ``.csv`` or ``.parquet``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Problems, UserError
from . import cells, imported
from .contract import Content, Options, Votes
from .images import Images, relative_names

if TYPE_CHECKING:  # only whoever asks has looked
    from .looks import Guess, Look

ENTRY = {
    "about": "Images and a matrix of how many votes each class got (CIFAR-10H as published).",
    "options": {
        "images": {
            "type": "string", "description": "Folder of the images (required).", "input": "folder", "required": True},
        "counts": {"type": "string",
            "description": "`.npy` of integers [N, C], or CSV or Parquet with a column a class (required).",
            "input": "counts", "required": True},
    },
    "shared": ["order", "name_column", "group_column", "separator", "classes", "unvoted", "minimum_votes",
        "pixels", "resize", "deep", "follow_links"],
    "gives": ["votes"], "anonymous": True,
}  # fmt: skip

RATERS = "Use source.kind 'table' with layout 'raters'"
OTHERS = "Remove that column"
# Names of people who vote, as columns are called.
PEOPLE = re.compile(
    r"(?:.*[\W_])?(?:(?:annotator|annot|anno|assessor|clinician|coder|dermatologist|doctor|dr|evaluator|expert|grader|judge|"
    r"labell?er|observer|obs|participant|pathologist|person|physician|radiologist|rad|rater|reader|reviewer|scorer|"
    r"student|subject|user|volunteer|worker)[\W_]*(?:\d+|[a-z]|one|two|three)|\S+@\S+\.\S+)(?:[\W_].*)?",
    re.IGNORECASE,
)
SHORT = re.compile(r"[raw]\d+", re.IGNORECASE)  # a name of a rater, an annotator or a worker, or of a class such as A1
# What often stands in columns beside those of raters: words of their names, and whole names.
OTHER_WORDS = {
    "adjudicated", "adjudication", "average", "comment", "comments", "consensus", "final", "gold", "majority", "mean",
    "median", "mode", "notes", "std", "truth",
}  # fmt: skip
OTHER_NAMES = {
    "age", "class", "count", "fold", "gt", "id", "index", "label", "n", "patient", "score", "sex", "split", "sum",
    "target", "total", "usage", "votes",
}  # fmt: skip
HIGHEST_RATING = 10
FEWEST_SUMS = 5  # rows; fewer have a column that is the sum of the others by chance
FEWEST_ROWS = {2: 20}  # by the number of columns, 10 for others; fewer say little of how a table is made
# Votes for one class are missing in the others, so counts of few votes hardly rise together; answers of raters do.
MOST_RATERS, CORRELATED, ALIKE = 100, 0.5, 0.4
# A cell above this is no count of people; expanding it to votes would fill the memory.
MOST_VOTES = 1_000_000
FORM = "whole numbers of votes, a row an image and a column a class (.npy)"
ORDER = (
    "Row i belongs to the i-th image in the order of the names: see that it does, and name the classes in `classes`."
)
EXPECTED = f"a whole number of votes from 0 to {MOST_VOTES}"


def read(source: Options, files: Mapping[str, Any], problems: Problems) -> Content:
    """The content of an image folder with ``counts``."""
    path, images = files["counts"], relative_names(files["images"], files["folder"], source["follow_links"])
    if path.suffix.lower() == ".npy":
        table, (counts, classes) = None, read_matrix(path, source, problems)
    else:
        table, classes = read_wide(path, source, problems)
        if source["classes"] is None:
            question_raters(path, classes, None, RATERS, problems)
            question_others(path, classes, None, OTHERS, problems)
        counts = matrix(table, classes, problems)
        if source["order"] == "name":
            item = imported.items(table, "name_column", images, "name", Problems())
            question_rows(table, counts, item, "Use source.kind 'table' with layout 'onehot'", problems)
    counts, groups = of_images(counts, table, path, images, source, problems)
    if source["classes"] is None:
        question_raters(path, classes, counts, RATERS, problems)
        question_others(path, classes, counts, OTHERS, problems)
    return imported.content(source, images, classes, problems, votes=Votes.of_counts(counts), groups=groups)


def question_raters(
    path: Path, names: Sequence[str], counts: np.ndarray | None, remedy: str, problems: Problems
) -> None:  # fmt: skip
    """Refuse columns that look like raters, by their names or (not None) their whole numbers ``[R, C]``.

    Whoever names the classes has said that the columns are these. ``remedy`` says what reads the others.
    """
    if why := called_like_raters(names) if counts is None else filled_like_raters(counts, names):
        problems.add(
            f"{path}: {why}, as raters and their answers do, not numbers of votes for classes. {remedy} if each column "
            f"is a rater; if each is a class, list them in source.classes."
        )
        problems.stop()


def question_others(
    path: Path, names: Sequence[str], counts: np.ndarray | None, remedy: str, problems: Problems
) -> None:  # fmt: skip
    """Refuse columns that look like no class, by their names or (not None) their whole numbers ``[R, C]``.

    ``remedy`` says what leaves them out.
    """
    if others := [name for name in names if name.casefold() in OTHER_NAMES] if counts is None else sums(names, counts):
        why = "does not look like the name of a class" if counts is None else "is the sum of all others in each row"
        problems.add(
            f"{path}: all columns but the image's would be classes, but '{others[0]}' {why}. {remedy} if it is none; "
            f"if it is one, list all classes in source.classes."
        )
        problems.stop()


def sums(names: Sequence[str], counts: np.ndarray) -> list[str]:
    """The columns of whole numbers ``[R, C]`` that are the sum of all others in each row."""
    if len(counts) < FEWEST_SUMS or len(names) < 3 or not counts.any():
        return []
    are = (2 * counts == counts.sum(axis=1, keepdims=True)).all(axis=0)
    return [name for name, one in zip(names, are, strict=True) if one]


def called_like_others(name: str) -> bool:
    """Whether a column has the name of what often stands beside those of raters."""
    return bool(OTHER_WORDS & {*re.split(r"[^a-z]+", name.casefold())}) or name.casefold() in OTHER_NAMES


def question_rows(table: cells.Cells, counts: np.ndarray, item: np.ndarray, remedy: str, problems: Problems) -> None:
    """Refuse rows with one 1 each of which several are about one image (``item`` int ``[R]``; -1: none): votes.

    ``remedy`` says what reads them.
    """
    known = item[item >= 0]
    if (again := len(known) - len(np.unique(known))) and (counts.sum(axis=1) == 1).all():
        problems.add(
            f"{table.path}: {again} of {len(counts)} rows are about an image that an earlier row is about, and each "
            f"row has one 1, as a table with one vote a row has. {remedy}, which adds up the rows of an image."
        )
        problems.stop()


def like_raters(counts: np.ndarray, names: Sequence[str]) -> str:
    """Why columns of whole numbers ``[R, C]`` look like raters; "" where they do not."""
    return called_like_raters(names) or filled_like_raters(counts, names)


def called_like_raters(names: Sequence[str]) -> str:
    """Why columns look like raters by their names; "" where they do not."""
    if len(names) < 2 or not all(PEOPLE.fullmatch(name) for name in names):
        return ""
    return f"the columns {', '.join(names[:5])}{', …' * (len(names) > 5)} have the names of people"


def filled_like_raters(counts: np.ndarray, names: Sequence[str]) -> str:
    """Why whole numbers ``[R, C]`` look like ratings or class numbers with a column a rater; "" where they do not.

    Of columns whose names may be those of raters, few rows are enough.
    """
    total, most = counts.sum(axis=1), counts.max(initial=0)
    enough = len(counts) >= FEWEST_ROWS.get(counts.shape[1], 10)
    if not (enough or all(map(SHORT.fullmatch, names))) or most > HIGHEST_RATING or len(set(total)) < 2:
        return ""
    if counts.min() > 0:
        return f"all cells hold numbers from {counts.min()} to {most}, none 0, and rows have different sums"
    if not enough or not 1 < counts.shape[1] <= MOST_RATERS:
        return ""
    if not (counts == counts[0]).all(axis=0).any():  # which correlates with nothing
        pairs = np.triu_indices(counts.shape[1], 1)
        together = np.corrcoef(counts.T)[pairs].mean()
        alike = np.mean([(counts[:, i] == counts[:, j]).mean() for i, j in zip(*pairs, strict=True)])
        if together > CORRELATED and alike > ALIKE:
            return f"the columns rise and fall together (correlation {together:.2f})"
    if most == 1 and total.min() == 0 and total.max() > 1:
        return "all cells hold 0 or 1, some rows are all 0, and others have several 1"
    return ""


def read_array(path: Path, kinds: str, what: str, columns: str = "classes") -> np.ndarray:
    """A ``.npy`` matrix whose dtype must be of one of NumPy's ``kinds``, without unpickling anything."""
    try:
        with path.open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # a damaged header is read as Python's syntax and fails in as many ways
        raise UserError(f"{path}: cannot be read as a NumPy array ({error}). Save {what} there.") from None
    if array.ndim != 2 or array.dtype.kind not in kinds or array.shape[1] > imported.MOST_CLASSES:
        raise UserError(
            f"{path}: found {array.dtype} {list(array.shape)}, expected {what} [images, {columns}], of at most "
            f"{imported.MOST_CLASSES} {columns}. Save such an array there."
        )
    return array


def classes_of_columns(path: Path, n_columns: int, source: Options, problems: Problems) -> list[str]:
    """The class names of a matrix without a header: those given, or 0, 1, …"""
    classes = imported.in_order(source) or [str(index) for index in range(n_columns)]
    if len(classes) != n_columns:
        problems.add(f"{path}: found {n_columns} columns, expected {len(classes)} as in source.classes. Correct one.")
    for key, unset in (("order", "index"), ("group_column", None)):
        if source[key] != unset:
            problems.add(
                f"{path}: has no columns with names. Set source.{key} to {unset or 'null'}, or give the table as .csv."
            )
    problems.stop()
    return classes


def is_count(values: np.ndarray) -> np.ndarray:
    """Which numbers may count votes."""
    return (values >= 0) & (values <= MOST_VOTES) & (values == np.floor(values))


def read_matrix(path: Path, source: Options, problems: Problems) -> tuple[np.ndarray, list[str]]:
    """Counts int64 ``[N, C]`` of a ``.npy`` file, and the class names."""
    counts = read_array(path, "iu", "integer counts")
    classes = classes_of_columns(path, counts.shape[1], source, problems)
    if len(gaps := np.argwhere(counts == -1)):
        row, column = gaps[0]
        problems.add(
            f"{path}: row {row} (counted from 0), column '{classes[column]}': found -1 ({len(gaps)} such cells), "
            f"expected {EXPECTED}. {RATERS} if each column is a rater and -1 no answer, or correct the cells."
        )
        problems.stop()
    bad = np.argwhere(~is_count(counts))
    imported.note(
        (
            f"{path}: row {row} (counted from 0), column '{classes[column]}': found {counts[row, column]}, expected "
            f"{EXPECTED}. Correct that cell."
            for row, column in bad
        ),
        len(bad), "such cells", problems, path,
    )  # fmt: skip
    problems.stop()
    return counts.astype(np.int64), classes


def own_columns(path: Path, names: Sequence[str], source: Options, problems: Problems) -> dict[str, str]:
    """The columns that are no classes, by role; names that ``source.order`` would ignore are noted."""
    own = {key: source[key] for key in ("name_column", "group_column") if source[key]}
    if source["order"] == "index":
        named = own.pop("name_column")
        if named in names:
            problems.add(
                f"{path}: has a column '{named}', but source.order is 'index', which ignores names. Set source.order "
                f"to 'name', or remove the column."
            )
    return own


def read_wide(path: Path, source: Options, problems: Problems) -> tuple[cells.Cells, list[str]]:
    """A table with a column a class, and the class names; the class columns have the roles ``classes.NAME``."""
    names = cells.header(path, source["separator"])
    own = own_columns(path, names, source, problems)
    found = [name for name in names if name not in own.values()]
    if not found:
        problems.add(f"{path}: found no class among the columns {', '.join(names)}, expected two or more. Add them.")
        problems.stop()
    classes = source["classes"] or found
    if set(classes) != set(found) and set(own.values()) <= set(names):
        problems.add(
            f"{path}: found the class columns {', '.join(found)}, expected {', '.join(classes)} (source.classes). "
            f"Correct one of them."
        )
    own |= {f"classes.{name}": name for name in classes if name in names}
    return cells.read(path, own, problems, source["separator"]), classes


def matrix(table: cells.Cells, classes: Sequence[str], problems: Problems) -> np.ndarray:
    """Counts int64 ``[R, C]`` of the class columns; cells that hold no count are noted."""
    counts = imported.class_columns(table, classes, is_count, EXPECTED, problems)
    problems.stop()
    return counts.astype(np.int64)


def rows_of_images(table: cells.Cells, role: str, images: Images, problems: Problems, by: str = "name") -> np.ndarray:
    """The row of each image, int64 ``[N]``; rows without an image, and images with two rows or none, are noted."""
    item = imported.items(table, role, images, by, problems)
    names, rows = list(images), np.full(len(images), -1, np.int64)
    for row in np.flatnonzero(item >= 0):
        if rows[item[row]] >= 0:
            problems.add(f"{table.both(rows[item[row]], row)} for the image '{names[item[row]]}'. Keep one.")
        rows[item[row]] = row
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        problems.add(
            f"{table.path}: {len(missing)} of {len(names)} images have no row, the first is '{names[missing[0]]}'. Add "
            f"the rows, or remove the images."
        )
    return rows


def of_images(
    values: np.ndarray, table: cells.Cells | None, path: Path, images: Images, source: Options, problems: Problems
) -> tuple[np.ndarray, list[str | None] | None]:
    """The rows of the matrix ``[R, C]`` in a file in the order of the images, and the images' groups.

    ``table`` is None where the rows have neither names nor groups. Rows and images that do not match are raised.
    """
    if source["order"] == "name":
        rows = rows_of_images(table, "name_column", images, problems)
    else:
        one_row_an_image(path, len(values), images, problems)
        rows = np.arange(len(values))
    problems.stop()
    groups = None
    if source["group_column"]:
        group = imported.without_words(table, "group_column", "group", problems)
        groups = [group.each(row) or None for row in rows]
    return values[rows], groups


def one_row_an_image(path: Path, n_rows: int, images: Images, problems: Problems) -> None:
    """Note rows that are more or fewer than the images, or an order of the images that is not certain."""
    n = len(images)
    if n_rows != n:
        extra = f"the image '{list(images)[n_rows]}'" if n_rows < n else f"row {n} (counted from 0)"
        problems.add(
            f"{path}: found {n_rows} rows, expected {n}, one for each image in {images.folder}; {extra} is the first "
            f"without a partner. Add or remove rows or images."
        )
    imported.check_order(images, problems)


def recognise(look: Look) -> Guess | None:
    """Whether an array may count votes."""
    if look.array is None or look.array.dtype.kind not in "iu" or not is_count(look.array).all():
        return None
    return look.guess("a matrix of how many votes each class got", look.POSSIBLE, ORDER, path="counts", kind="counts")
