"""Linear algebra that gives the same bits on any machine.

Products are of matrices of integers whose sums stay below 2^53, so no order of summation, no fused multiplication and
no number of threads can change them. All else is done element by element, where IEEE 754 leaves one result.
"""

import numpy as np

BITS = 18
"""Of the integers that `rounded` gives: a product over 2^16 rows stays below 2^53."""


def rounded(values: np.ndarray, bits: int = BITS) -> np.ndarray:
    """Return the values scaled to the range ±2^bits and rounded to integers, as float64."""
    most = float(np.abs(values).max(initial=0))
    return np.rint(values * (2.0**bits / most)) if most else np.zeros_like(values)


def orthonormal(columns: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of what the rows of `columns`, float64 [width, n], span: [width, n].

    By Cholesky's factors of their products. A row that the rows before it give already becomes zeros.
    """
    whole = rounded(columns)
    factor, alive = _cholesky(whole @ whole.T)
    basis = whole.copy()
    for j in range(len(basis)):
        if not alive[j]:
            basis[j] = 0
            continue
        basis[j] /= factor[j, j]
        basis[j + 1 :] -= factor[j + 1 :, j, None] * basis[j]
    return basis


def _cholesky(products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower factor of a matrix of products, and which of its columns are not 0."""
    left, factor = products.copy(), np.zeros_like(products)
    least = float(np.diagonal(products).max(initial=0)) * 2.0**-30
    alive = np.zeros(len(left), bool)
    for j in range(len(left)):
        if left[j, j] <= least:
            continue
        alive[j] = True
        column = left[j:, j] / np.sqrt(left[j, j])
        factor[j:, j] = column
        left[j:, j:] -= column[:, None] * column
    return factor, alive
