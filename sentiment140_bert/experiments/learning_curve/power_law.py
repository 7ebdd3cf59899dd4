"""The curve that test errors follow as training sets grow: error(n) = a * n^-b + c, a > 0, b > 0, 0 <= c.

That errors fall as a power of the number of examples, towards a floor, is an observation on many tasks and models
(Hestness et al. 2017, "Deep Learning Scaling is Predictable, Empirically"; Rosenfeld et al. 2020). It is no law: what
it says far beyond the largest size is an extrapolation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
ENOUGH = 3  # sizes below which a curve has nothing to be held against
FLOORED = 4  # from so many sizes on the floor c is fitted, too; else it is 0
STEEPEST, FLATTEST = 3.0, 0.01  # exponents that are looked at
EXPONENTS = 120  # looked at in each round
ROUNDS = 3  # each looks closer between the neighbours of the best exponent


@dataclass(frozen=True)
class PowerLaws:
    """Fitted curves, one for each row of errors: ``a``, ``b``, ``c`` have the shape (curves,).

    ``a`` is scaled: the error above the floor at the smallest size ``n0``, so that error(n) = a * (n / n0)^-b + c.
    """

    n0: float
    a: Floats
    b: Floats
    c: Floats

    def errors(self, sizes: Floats) -> Floats:
        """The errors at some sizes, shape (curves, sizes)."""
        ratio = np.asarray(sizes, dtype=np.float64)[None, :] / self.n0
        return np.asarray(self.a[:, None] * ratio ** -self.b[:, None] + self.c[:, None])

    def slopes(self, sizes: Floats, floored: bool) -> Floats:
        """Of the first curve's errors by its settings a, b and, if it was fitted, c; shape (sizes, settings)."""
        ratio = np.asarray(sizes, dtype=np.float64) / self.n0
        power = ratio ** -self.b[0]
        columns = [power, -self.a[0] * power * np.log(ratio)] + ([np.ones_like(power)] if floored else [])
        return np.stack(columns, axis=1)


def fit(sizes: Floats, errors: Floats, floored: bool) -> PowerLaws:
    """The curves with the least squared relative deviations, (curve - error) / error, over the sizes.

    For a given exponent the best a and c are a linear least squares problem with an exact solution; so only the
    exponent is searched for, over a range of logarithms that is narrowed. All rows are fitted at the same time.

    Args:
        sizes: Training tweets, ascending, shape (sizes,), two or more.
        errors: Above 0, shape (curves, sizes).
        floored: Fit c; else it is 0.
    """
    relative = np.asarray(sizes, dtype=np.float64) / sizes[0]
    low, high = np.full(len(errors), np.log(FLATTEST)), np.full(len(errors), np.log(STEEPEST))
    for _ in range(ROUNDS):
        exponents = np.linspace(low, high, EXPONENTS)  # shape (exponents, curves)
        _, _, deviations = _linear(relative, errors, np.exp(exponents), floored)
        best = deviations.argmin(axis=0)
        every = np.arange(len(errors))
        low = exponents[np.maximum(0, best - 1), every]
        high = exponents[np.minimum(EXPONENTS - 1, best + 1), every]
    chosen = np.exp(exponents[best, every])
    a, c, _ = _linear(relative, errors, chosen[None, :], floored)
    return PowerLaws(float(sizes[0]), a[0], chosen, c[0])


def _linear(relative: Floats, errors: Floats, exponents: Floats, floored: bool) -> tuple[Floats, Floats, Floats]:
    """The best a and c for each exponent, and the sum of squares that is left; shapes (exponents, curves).

    Args:
        relative: Sizes, the smallest being 1.
        errors: Shape (curves, sizes).
        exponents: Shape (exponents, curves).
        floored: Whether c may be above 0.
    """
    u = relative ** -exponents[..., None] / errors  # of a, shape (exponents, curves, sizes)
    v = np.broadcast_to(1 / errors, u.shape)  # of c
    uu, vv, uv, u1, v1 = ((x * y).sum(axis=-1) for x, y in ((u, u), (v, v), (u, v), (u, 1.0), (v, 1.0)))
    a, c = u1 / uu, np.zeros_like(uu)
    if floored:
        determinant = np.maximum(uu * vv - uv**2, 1e-12 * uu * vv)
        both_a, both_c = (u1 * vv - v1 * uv) / determinant, (v1 * uu - u1 * uv) / determinant
        a, c = np.where(both_c > 0, both_a, a), np.where(both_c > 0, both_c, c)
        a, c = np.where(a < 0, 0.0, a), np.where(a < 0, v1 / vv, c)  # errors that grow: no curve falls through them
    left = ((a[..., None] * u + c[..., None] * v - 1.0) ** 2).sum(axis=-1)
    return a, c, left
