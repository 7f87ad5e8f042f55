from __future__ import annotations

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from hopcast.regression import CouplingRidge, ExchangeableRidge, LaplacianRidge


@parametrize_with_checks(
    [
        LaplacianRidge(workers=1),
        LaplacianRidge(alpha=1e-4, gamma=0.2, workers=1),
        LaplacianRidge(alpha=1e-3, gamma=0.5, kernel="matern32", workers=1),
        ExchangeableRidge(workers=1),
        CouplingRidge(workers=1),
        CouplingRidge(loss="square", alpha=1e-3, gamma=0.5, workers=1),
    ]
)
def test_scikit_learn_estimator_checks(estimator: Any, check: Any) -> None:
    check(estimator)
