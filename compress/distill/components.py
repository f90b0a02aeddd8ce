"""Principal components of vectors, which keep the most of their spread in fewer numbers."""

import numpy as np


def principal_axes(vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean of vectors, and the directions in which they differ most from it.

    Args:
        vectors: (rows, width).
        count: of directions, at most the width.

    Returns:
        (width,) float64, and (width, count) float64, orthonormal, the widest spread first.
    """
    vectors = vectors.astype(np.float64)
    mean = vectors.mean(0)
    _, axes = np.linalg.eigh((vectors - mean).T @ (vectors - mean))
    return mean, axes[:, ::-1][:, :count]
