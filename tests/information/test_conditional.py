"""Conditional information, intervals and greedy selection."""

import numpy as np
import pytest
from scipy.special import digamma

from hopcast import InputError
from hopcast.information import (
    bootstrap_information,
    conditional_information,
    information,
    mutual_information,
    select_features,
)


def twin(x, y, Z, k):
    """Frenzel and Pompe by plain loops."""
    n = len(x)
    total = 0.0
    for i in range(n):
        dz = np.max(np.abs(Z - Z[i]), axis=1) if Z.shape[1] else np.zeros(n)
        dx, dy = np.abs(x - x[i]), np.abs(y - y[i])
        joint = np.maximum(dz, np.maximum(dx, dy))
        joint[i] = np.inf
        radius = np.sort(joint)[k - 1]
        others = np.arange(n) != i
        n_z = np.sum((dz < radius) & others)
        n_xz = np.sum((dz < radius) & (dx < radius) & others)
        n_yz = np.sum((dz < radius) & (dy < radius) & others)
        total += digamma(k) + digamma(n_z + 1) - digamma(n_xz + 1) - digamma(n_yz + 1)
    return total / n


@pytest.mark.parametrize("n_conditions", [0, 1, 2])
def test_equals_plain_loops(n_conditions):
    rng = np.random.default_rng(0)
    x, y, Z = rng.normal(size=80), rng.normal(size=80), rng.normal(size=(80, n_conditions))
    y = y + x
    Z = Z / Z.std(axis=0) if n_conditions else Z
    found = conditional_information(x, y, Z if n_conditions else None)
    assert found[0] == pytest.approx(twin(x / x.std(), y / y.std(), Z, 3), abs=1e-6)


def test_without_conditions_it_is_mutual_information():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 3))
    y = X[:, 0] + 0.5 * rng.normal(size=200)
    plain, ours = mutual_information(X, y), conditional_information(X, y)
    np.testing.assert_allclose(ours[plain > 0], plain[plain > 0], atol=1e-9)


def test_gaussian_values():
    """I(x; y | z) = -ln(1 - partial^2) / 2."""
    rng = np.random.default_rng(2)
    z, a, b = rng.normal(size=(3, 2000))
    x, y = z + a, z + 0.8 * a + 0.6 * b  # given z the correlation is 0.8
    assert conditional_information(x, y, z)[0] == pytest.approx(-0.5 * np.log(1 - 0.64), abs=0.05)
    copy, other = z + 0.3 * rng.normal(size=2000), z + 0.3 * rng.normal(size=2000)
    assert conditional_information(copy, other)[0] > 0.5
    assert abs(conditional_information(copy, other, z)[0]) < 0.05


@pytest.mark.parametrize("method", ["mrmr", "cmi"])
def test_the_second_choice_is_no_copy_of_the_first(method):
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 500))
    y = 1.2 * a + b + 0.3 * rng.normal(size=500)
    X = np.stack([a, *(a + 0.05 * rng.normal(size=500) for _ in range(4)), b, rng.normal(size=500)], axis=1)
    info = information(X, y, random_state=0)
    assert set(np.argsort(-info.corrected)[:3]) <= {0, 1, 2, 3, 4}  # by itself: copies
    found = select_features(X, y, info, 2, method=method)
    assert found.features[0] in (0, 1, 2, 3, 4)
    assert found.features[1] == 5
    assert found.conditional[1] > found.relevance[1]  # b tells more once a is known
    assert found.p_first < 0.05


def test_selection_among_noise_is_no_discovery():
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(300, 30)), rng.normal(size=300)
    info = information(X, y, random_state=0)
    assert select_features(X, y, info, 1).p_first > 0.05


def test_interval_holds_the_truth():
    inside = 0
    truth = -0.5 * np.log(1 - 0.36)
    for seed in range(25):
        rng = np.random.default_rng(seed)
        x, e = rng.normal(size=(2, 400))
        y = 0.6 * x + 0.8 * e
        info = information(x, y, n_shifts=20, workers=1)
        found = bootstrap_information(x, y, info, n_draws=300)
        assert found.value[0] == pytest.approx(info.corrected[0], abs=1e-9)
        inside += found.low[0] <= truth <= found.high[0]
    assert inside >= 21


def test_bad_input():
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(50, 2)), rng.normal(size=50)
    with pytest.raises(InputError, match="`step` must leave more than 3 samples"):
        conditional_information(X, y, step=20)
    info = information(X, y)
    with pytest.raises(InputError, match="`n_select` must lie between 1 and the 2 features"):
        select_features(X, y, info, 3)
