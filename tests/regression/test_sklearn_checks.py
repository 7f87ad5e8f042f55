from __future__ import annotations

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from hopcast.regression import (
    CouplingRidge,
    ExchangeableRidge,
    LaplacianRidge,
    LinearRidge,
    LowRankRidge,
    TimeGeometryProcess,
)

# all but the noise, which is chosen: the checks are about the dialect
HELD = {
    "rough_variance": 0.1,
    "rough_length": 1.0,
    "smooth_variance": 1.0,
    "smooth_length": 3.0,
    "geometry_variance": 1.0,
    "gamma": 0.05,
    "product_variance": 0.1,
    "product_length": 10.0,
}


@parametrize_with_checks(
    [
        LaplacianRidge(workers=1),
        LaplacianRidge(alpha=1e-4, gamma=0.2, workers=1),
        LaplacianRidge(alpha=1e-3, gamma=0.5, kernel="matern32", workers=1),
        ExchangeableRidge(workers=1),
        CouplingRidge(workers=1),
        CouplingRidge(loss="square", alpha=1e-3, gamma=0.5, workers=1),
        LinearRidge(workers=1),
        LowRankRidge(100, workers=1),
        LowRankRidge(100, alpha=1e-4, gamma=0.2, workers=1),
        TimeGeometryProcess(hyperparameters=HELD, workers=1),
    ]
)
def test_scikit_learn_estimator_checks(estimator: Any, check: Any) -> None:
    check(estimator)
