"""Calibration maps: logits after training, fitted on the validation items of a run.

``temperature`` is fitted on the run's own labels of these items, as anyone can; the others on their reference, which
needs soft labels there. The cross-entropy is linear in the target, so a reference of few votes does not bias a fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax

from ..contracts import MOST_SCALED
from .divergence import ce_items

OWN = "temperature"  # the scaling that is fitted on the run's own labels
TEMPERATURES = (0.01, 100.0)
ODIR = 0.01  # weight of both penalties below


class Scaling(NamedTuple):
    """The map ``logits -> logits @ weight.T + bias``, of logits ``[N, C]`` whose rows have the mean 0."""

    weight: np.ndarray  # float64 [C, C]
    bias: np.ndarray  # float64 [C]

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Logarithms of the scaled distributions, float64 ``[N, C]``."""
        return log_softmax(centred(logits) @ self.weight.T + self.bias, axis=1)


def centred(logits: np.ndarray) -> np.ndarray:
    """Logits of the same distributions whose rows have the mean 0: a matrix tells shifted rows apart."""
    return logits - logits.mean(axis=1, keepdims=True)


def fit_temperature(p: np.ndarray, logits: np.ndarray) -> float:
    """The T whose ``softmax(logits / T)`` has the least mean cross-entropy (Guo et al. 2017) from labels ``[V, C]``.

    Returns:
        T in [0.01, 100]. The cross-entropy is convex in 1/T, so it has one minimum; where every label is one-hot and
        predicted right, a small T, from which on it is 0 in float64.
    """

    def cross_entropy(log_temperature: float) -> float:
        return ce_items(p, log_softmax(logits / np.exp(log_temperature), axis=1)).mean()

    return float(np.exp(minimize_scalar(cross_entropy, bounds=np.log(TEMPERATURES), options={"xatol": 1e-8}).x))


def temperature(p: np.ndarray, logits: np.ndarray) -> Scaling:
    """One temperature for all classes; see :func:`fit_temperature`."""
    n_classes = p.shape[1]
    return Scaling(np.eye(n_classes) / fit_temperature(p, logits), np.zeros(n_classes))


def vector(p: np.ndarray, logits: np.ndarray) -> Scaling:
    """A factor and a bias a class (Guo et al. 2017)."""
    return _fit(p, logits, np.eye(p.shape[1], dtype=bool))


def matrix(p: np.ndarray, logits: np.ndarray) -> Scaling:
    """A matrix and a bias (Guo et al. 2017); ODIR keeps what lies off the diagonal, and the bias, small."""
    return _fit(p, logits, np.ones((p.shape[1],) * 2, dtype=bool))


def _fit(p: np.ndarray, logits: np.ndarray, free: np.ndarray) -> Scaling:
    """The map of the least mean cross-entropy whose weight is 0 but where it is ``free``, bool ``[C, C]``.

    The penalty is ODIR (Kull et al. 2019): ODIR times the mean square of the free weights off the diagonal, and ODIR
    times that of the bias. The objective is convex; the search starts at the best temperature.
    """
    n, n_classes = p.shape
    z = centred(logits)
    off = free & ~np.eye(n_classes, dtype=bool)
    pairs = max(n_classes * (n_classes - 1), 1)
    start = temperature(p, logits)

    def unpack(x: np.ndarray) -> Scaling:
        weight = np.zeros((n_classes, n_classes))
        weight[free] = x[n_classes:]
        return Scaling(weight, x[:n_classes])

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        weight, bias = unpack(x)
        log_q = log_softmax(z @ weight.T + bias, axis=1)
        residual = (np.exp(log_q) - p) / n
        value = ce_items(p, log_q).mean() + ODIR * ((weight[off] ** 2).sum() / pairs + (bias**2).mean())
        slope = residual.T @ z + 2 * ODIR * np.where(off, weight, 0) / pairs
        return value, np.concatenate([residual.sum(axis=0) + 2 * ODIR * bias / n_classes, slope[free]])

    first = np.concatenate([start.bias, start.weight[free]])
    return unpack(minimize(objective, first, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x)


# What is fitted on the reference, by its name in a file of scores.
ON_REFERENCE: Mapping[str, Callable[[np.ndarray, np.ndarray], Scaling]] = {
    "temperature_reference": temperature,
    "vector_reference": vector,
    "matrix_reference": matrix,
}


def fitted(own: tuple[np.ndarray, np.ndarray], reference: tuple[np.ndarray, np.ndarray]) -> dict[str, Scaling]:
    """The scalings of a run by name, from (labels, logits), both ``[V, C]``.

    None without items; none on the reference where every item's is one class: there are no soft labels to learn from.
    """
    found = {OWN: temperature(*own)} if len(own[0]) else {}
    if (reference[0].max(axis=1, initial=0) < 1).any():
        n_classes = reference[0].shape[1]
        names = ON_REFERENCE if n_classes <= MOST_SCALED else ["temperature_reference"]
        found |= {name: ON_REFERENCE[name](*reference) for name in names}
    return found
