"""Frames unlike the training set are found, by distance and by posterior deviation, whatever the chunks."""

from __future__ import annotations

import numpy as np
import pytest

from hopcast.core import ConfigError, InputError
from hopcast.evaluation.extrapolation import Extrapolation, extrapolation, training_domain
from hopcast.regression import LaplacianRidge


def training(seed: int = 0, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Return features of different scales and a target."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 5)) * [1, 10, 0.1, 3, 1] + [0, 50, 0, 0, 1]
    return X, np.sin(X[:, 0]) + 0.1 * X[:, 1]


def test_distances_and_limits_are_the_definition() -> None:
    X, _ = training(n=60)
    groups = np.repeat(np.arange(6), 10)
    domain = training_domain(X, groups, level=0.9)
    z = (X - X.mean(axis=0)) / X.std(axis=0)
    pairs = np.abs(z[:, None] - z[None]).mean(axis=2)
    own = [pairs[i, groups != groups[i]].min() for i in range(60)]
    assert domain.distance_limit == pytest.approx(np.quantile(own, 0.9), rel=1e-12)
    new = training(1, 30)[0]
    found = extrapolation(domain, new)
    far = np.abs((new - X.mean(axis=0))[:, None] / X.std(axis=0) - z[None]).mean(axis=2).min(axis=1)
    np.testing.assert_allclose(found.distance, far, rtol=1e-12)
    np.testing.assert_array_equal(found.outside, far > domain.distance_limit)
    assert found.share == np.mean(far > domain.distance_limit)


def test_frames_of_the_same_kind_are_inside_and_others_outside() -> None:
    X, y = training(n=400)
    model = LaplacianRidge().fit(X, y)
    domain = training_domain(model)
    same = training(1, 1000)[0]
    found = extrapolation(domain, same, std=model.predict(same, return_std=True)[1])
    assert 0.0 < found.share < 0.04  # 1 % by each of two limits
    assert not found.extrapolates
    assert "frames" in found.verdict
    assert "extrapolates" not in found.verdict
    shifted = same + 6 * X.std(axis=0)
    far = extrapolation(model, shifted)
    assert far.share == 1.0
    assert far.extrapolates
    assert far.verdict.startswith("1000 of 1000 frames (100.0 %) lie outside of what the training set tells of")
    assert far.verdict.endswith("the forecast extrapolates.")
    # far from everything the posterior is the prior
    np.testing.assert_allclose(extrapolation(model, same + 1e5 * X.std(axis=0)).relative_std, 1.0, rtol=1e-9)


def test_relative_deviation_is_the_models_and_its_limit_that_of_blocks_left_out() -> None:
    X, y = training(n=80)
    groups = np.repeat(np.arange(8), 10)
    model = LaplacianRidge(alpha=1e-2, gamma=0.3).fit(X, y)
    domain = training_domain(model, groups, level=0.8)
    own = []
    for label in range(8):  # brute force: the kernel and its scale held at the full set's
        keep = groups != label
        z = model.X_fit_
        K = np.exp(-0.3 * np.abs(z[:, None] - z[None]).sum(axis=2))
        inverse = np.linalg.inv(K[np.ix_(keep, keep)] + 1e-2 * np.eye(keep.sum()))
        cross = K[np.ix_(~keep, keep)]
        own += list(np.sqrt(1 - np.einsum("ij,jk,ik->i", cross, inverse, cross)))
    assert domain.std_limit == pytest.approx([np.quantile(own, 0.8)], rel=1e-8)
    new = training(2, 20)[0]
    std = model.predict(new, return_std=True)[1]
    found = extrapolation(model, new)
    np.testing.assert_allclose(found.relative_std, std / np.sqrt(model.signal_variance_))


def test_a_model_that_knows_nothing_says_so_of_every_frame() -> None:
    X, _ = training(n=100)
    model = LaplacianRidge(alpha=100.0, gamma=2.0).fit(X, np.random.default_rng(0).normal(size=100))
    found = extrapolation(model, training(1, 50)[0])
    assert found.share == 1.0
    assert "over 0.95 on 50, of which the model knows next to nothing: the forecast extrapolates." in found.verdict
    assert extrapolation(X, training(1, 50)[0]).share < 0.1  # though the frames are of the same kind


def test_chunks_and_workers_do_not_matter() -> None:
    X, y = training(n=150)
    targets = np.stack([y, np.cos(y)], axis=1)
    model = LaplacianRidge(workers=1).fit(X, targets)
    new = training(3, 700)[0].astype(np.float32)
    std = model.predict(new, return_std=True)[1]
    whole = extrapolation(training_domain(model, workers=2), new, std=std, workers=2)
    domain = training_domain(model, workers=1)
    parts = [
        extrapolation(domain, new[a:b], std=std[a:b], workers=1) for a, b in ((0, 1), (1, 300), (300, 700), (700, 700))
    ]
    joined = Extrapolation.joined(parts)
    assert whole.relative_std is not None
    assert whole.relative_std.shape == (700, 2)
    for name in ("distance", "relative_std", "outside"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))
    assert joined.share == whole.share
    assert extrapolation(domain, new[:5]).relative_std is None


def test_a_feature_that_never_varied_is_noticed_when_it_does() -> None:
    X, _ = training()
    X[:, 2] = 7.0
    domain = training_domain(X)
    new = X[:5].copy()
    assert not extrapolation(domain, new).outside.any()
    new[:, 2] += 100.0
    assert extrapolation(domain, new).outside.all()


def test_bad_arguments_are_named() -> None:
    X, y = training()
    with pytest.raises(ConfigError, match="`level` must lie between 0 and 1, but is 99"):
        training_domain(X, level=99)
    with pytest.raises(InputError, match=r"`reference` must be a table of at least two training frames, .*\(5,\)"):
        training_domain(X[0])
    with pytest.raises(InputError, match=r"`X` must have the shape \[n_frames, 5\] .* \(200, 4\)"):
        extrapolation(X, X[:, :4])
    with pytest.raises(InputError, match="`std` must come with a domain made of a model"):
        extrapolation(X, X, std=y)
    with pytest.raises(InputError, match="`std` must have one value for each of 200 frames and 1 targets"):
        extrapolation(LaplacianRidge(alpha=1.0, gamma=0.1).fit(X, y), X, std=y[:3])
    with pytest.raises(InputError, match="`X` must be finite, but frame 0, column 1 holds NaN"):
        extrapolation(X, [[0.0, np.nan, 0.0, 0.0, 0.0]])
    with pytest.raises(InputError, match="`parts` must hold at least one chunk"):
        Extrapolation.joined([])
