"""Multinomial logistic regression on label distributions, fitted to convergence for each of several L2 penalties."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize
from scipy.special import log_softmax

# Converged is what has no larger slope than this in coordinates in which the curvature is about 1 where a head has
# learned nothing yet. With n weights of curvature c there, what is minimised lies within n TOLERANCE² / (2 c) of the
# least: for c = 1 within 1e-8 of 20,000 weights, 5e-7 of a million. Where a head is confident, the curvature of the
# cross-entropy goes to 0 and c to what the penalty has of it: with small penalties the bound says much less.
TOLERANCE = 1e-6
MOST_STEPS = 1000
NEGLIGIBLE = 1e-12  # of the largest eigenvalue: a direction in which the features do not vary
LEAST_CURVATURE = 1e-3
# Bytes of features at a time, which fit the second cache of a core: both passes read memory once, twice as fast.
BLOCK = 2**19


class Head(NamedTuple):
    """A linear head: logits are ``features @ weight.T + bias``.

    Attributes:
        penalty: that it was fitted with.
        weight: float64 ``[C, F]``.
        bias: float64 ``[C]``.
        ce: weighted mean cross-entropy of the items that it was fitted on, in nats.
        steps: of L-BFGS, from the head of the penalty before.
        converged: whether no slope was left that is larger than TOLERANCE.
    """

    penalty: float
    weight: np.ndarray
    bias: np.ndarray
    ce: float
    steps: int
    converged: bool


def cross_entropies(target: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Cross-entropy of each item in nats, float64 ``[n]``, of distributions and logits ``[n, C]``."""
    return -(target * log_softmax(logits.astype(np.float64), axis=1)).sum(axis=1)


def heads(features: np.ndarray, target: np.ndarray, weight: np.ndarray, penalties: Sequence[float]) -> Iterator[Head]:
    """The head of each penalty, from the largest to the smallest, each starting at the one before.

    Minimised is ``mean_i w_i CE(p_i, softmax(W z_i + b)) + penalty / 2 ||W||²``, where z are the features less their
    mean, divided by their standard deviation (of one that is constant by 1). scikit-learn's ``LogisticRegression`` has
    the same minimum for one-hot targets and ``C = 1 / (n penalty)``. Heads are of the features as they are given.

    Args:
        features: ``[n, F]`` of the items to learn from.
        target: their label distributions, ``[n, C]``; rows sum to 1.
        weight: of each item, ``[n]``, with a mean of 1.
        penalties: above 0.
    """
    target, weight = target.astype(np.float64), weight.astype(np.float64)
    n, n_classes = target.shape
    z = features.astype(np.float64)
    mean = z.mean(axis=0)
    z -= mean
    std = np.sqrt(np.einsum("nf,nf->f", z, z) / n)
    std[std <= 1e-7 * np.abs(mean)] = 1  # constant but for rounding (of float32)
    std[std == 0] = 1
    z /= std
    axes, variance = _principal(z)
    z = z @ axes
    prior = (weight[:, None] * target).mean(axis=0)
    curvature = max((prior * (1 - prior)).mean(), LEAST_CURVATURE)
    theta = np.zeros((len(variance) + 1, n_classes))  # weights of the principal axes, and the bias
    for penalty in sorted(set(penalties), reverse=True):
        # In units of one over the root of the curvature, a step of L-BFGS goes as far in each direction as it should.
        scale = np.append(1 / np.sqrt(curvature * variance + penalty), 1 / np.sqrt(curvature))[:, None]

        options = {"maxiter": MOST_STEPS, "maxfun": 2 * MOST_STEPS, "maxcor": 20, "gtol": TOLERANCE, "ftol": 0}
        start, given = (theta / scale).ravel(), (z, target, weight, penalty, scale)
        found = minimize(_objective, start, given, jac=True, method="L-BFGS-B", options=options)
        theta = found.x.reshape(theta.shape) * scale
        of_features = (axes @ theta[:-1] / std[:, None]).T
        ce = float(found.fun - penalty / 2 * (theta[:-1] ** 2).sum())
        converged = bool(np.abs(found.jac).max() <= TOLERANCE)
        yield Head(penalty, of_features, theta[-1] - of_features @ mean, ce, int(found.nit), converged)


def _objective(
    flat: np.ndarray, z: np.ndarray, target: np.ndarray, weight: np.ndarray, penalty: float, scale: np.ndarray
) -> tuple[float, np.ndarray]:
    """What is minimised, and its slope, at weights (and bias, the last row) ``[R + 1, C]`` in units of ``scale``."""
    at = flat.reshape(len(scale), -1) * scale
    value, slope = penalty / 2 * (at[:-1] ** 2).sum(), np.vstack([penalty * at[:-1], np.zeros_like(at[-1:])])
    rows = max(BLOCK // (8 * len(scale)), 1)
    for k in range(0, len(z), rows):
        block, p, w = z[k : k + rows], target[k : k + rows], weight[k : k + rows] / len(z)
        logits = block @ at[:-1] + at[-1]
        logits -= logits.max(axis=1, keepdims=True)
        q = np.exp(logits)
        total = q.sum(axis=1, keepdims=True)
        value += w @ (np.log(total[:, 0]) - np.einsum("ic,ic->i", p, logits))  # a row of p sums to 1
        residual = w[:, None] * (q / total - p)
        slope[:-1] += block.T @ residual
        slope[-1] += residual.sum(axis=0)
    return value, (slope * scale).ravel()


def _principal(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Principal axes ``[F, R]`` of centred ``z`` ``[n, F]``, and the variance along each; none of no variance.

    Weights along other directions change no logit, so that a penalty makes them 0: nothing is lost.
    """
    n, width = z.shape
    if width <= n:
        values, axes = eigh(z.T @ z / n)
        kept = values > NEGLIGIBLE * max(values.max(), 0)
        return axes[:, kept], values[kept]
    values, rows = eigh(z @ z.T / n)
    kept = values > NEGLIGIBLE * max(values.max(), 0)
    return z.T @ rows[:, kept] / np.sqrt(n * values[kept]), values[kept]
