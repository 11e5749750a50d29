"""Predictions and references for tests of metrics."""

import numpy as np
from scipy.special import log_softmax

from softlabels import registry, schema
from softlabels.evaluation.aligned import Aligned

OF_PEOPLE = (  # ordered classes, one class, a threshold: what holds for all metrics does not hold for these
    "aurc", "auroc", "e_aurc", "label_set_coverage", "label_set_size", "quadratic_kappa", "sensitivity_at_specificity",
    "wasserstein",
)  # fmt: skip
OF_ANNOTATORS = ("annotator_distance", "annotator_error", "readers")  # need who said what: see test_readers
NAMES = tuple(name for name in registry.names("metric") if name not in (*OF_PEOPLE, *OF_ANNOTATORS))
DEFAULTS = {name: {"kind": name, **schema.defaults("metric", name)} for name in (*NAMES, *OF_PEOPLE)}


def values(name, p, log_q, counts=None, **options):
    """What a metric gives for references and logarithms of predictions [n, C], its options being the default ones."""
    aligned = Aligned("test", np.arange(len(p)), p, log_q, classes(p), None, counts)
    return registry.load("metric", name)(aligned, {**DEFAULTS[name], **options})


def classes(p):
    """The names of the classes of distributions [n, C]."""
    return [f"c{k}" for k in range(p.shape[1])]


def score(name, p, log_q, counts=None, **options):
    return float(np.mean(values(name, p, log_q, counts, **options)))


def log(q):
    with np.errstate(divide="ignore"):
        return np.log(q)


def smooth(n=60, n_classes=5, seed=0):
    """References without ties, log-softmax predictions that resemble them, and counts of 2 to 9 votes."""
    rng = np.random.default_rng([seed, n_classes])
    p = rng.dirichlet(np.full(n_classes, 0.8), n)
    log_q = log_softmax(np.log(p + 0.02) + rng.normal(size=p.shape), axis=1)
    return p, log_q, rng.multinomial(rng.integers(2, 10, n), p)


def voted(n=200, n_classes=5, seed=0, votes=10):
    """References that are shares of votes, with zeros and ties, log-softmax predictions, and the counts."""
    rng = np.random.default_rng([seed, n_classes])
    counts = rng.multinomial(votes, rng.dirichlet(np.full(n_classes, 0.4), n))
    return counts / votes, log_softmax(rng.normal(size=(n, n_classes)) * 3, axis=1), counts
