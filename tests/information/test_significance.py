from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import false_discovery_control, kstest

from hopcast.core.errors import InputError
from hopcast.information import adjust, correlation_time, information, mutual_information, rank_elements, significance
from hopcast.information.ksg import normal_scores
from hopcast.information.significance import independent_features


def band_limited(rng, n, n_series, low=0.2, high=2.0):
    """Independent unit-variance series with flat spectra between `low` and `high` THz, 1 fs apart."""
    frequency = np.fft.rfftfreq(4 * n, 1e-3)
    inside = (frequency > low) & (frequency < high)
    spectrum = np.zeros((n_series, len(frequency)), complex)
    spectrum[:, inside] = rng.normal(size=(n_series, inside.sum())) + 1j * rng.normal(size=(n_series, inside.sum()))
    series = np.fft.irfft(spectrum, axis=1)[:, :n].T
    return (series - series.mean(axis=0)) / series.std(axis=0)


@pytest.fixture(scope="module")
def band_limited_pairs():
    """Twenty draws of 7000 frames: features with rho 0, 0.6, 0.9 of a target each."""
    rng = np.random.default_rng(5)
    results = []
    for _ in range(20):
        y, other = band_limited(rng, 7000, 2).T
        X = np.stack([rho * y + np.sqrt(1 - rho**2) * other for rho in (0.0, 0.6, 0.9)], axis=1)
        results.append(information(X, y, n_shifts=2, theiler_window=200, shift_spacing=400.0))
    return results


def test_smooth_independent_series_look_informative_until_decimated(band_limited_pairs):
    raw, raw_null, corrected, windowed, windowed_null = (
        np.mean([getattr(draw, name) for draw in band_limited_pairs], axis=0)
        for name in ("raw", "raw_null_mean", "corrected", "windowed", "windowed_null_mean")
    )
    truth = -0.5 * np.log(1 - np.array([0.0, 0.6, 0.9]) ** 2)
    assert raw[0] > 1.5
    assert raw_null == pytest.approx([raw[0]] * 3, abs=0.2)
    np.testing.assert_allclose(corrected, truth, atol=0.08)
    assert windowed[0] < -0.5
    assert windowed_null == pytest.approx([windowed[0]] * 3, abs=0.2)


def test_corrected_is_the_mean_over_offsets_unclipped():
    rng = np.random.default_rng(0)
    X, y = band_limited(rng, 900, 4), band_limited(rng, 900, 1)[:, 0]
    info = information(X, y, decimate=30, n_shifts=3, shift_spacing=50.0)
    scores, target = normal_scores(X), normal_scores(y[:, None])[:, 0]
    offsets = [mutual_information(scores[o::30], target[o::30], theiler_window=1) for o in range(30)]
    np.testing.assert_allclose(info.corrected, np.mean(offsets, axis=0), atol=0.05)  # scaled once, not per offset
    assert info.decimation == 30
    assert info.n_decimated == 30
    np.testing.assert_array_equal(info.raw, mutual_information(X, y))
    np.testing.assert_array_equal(info.windowed, mutual_information(scores, target, theiler_window=info.theiler_window))


def test_the_shift_moves_the_target_against_the_features():
    rng = np.random.default_rng(1)
    x = rng.normal(size=600)
    info = information(x, np.roll(x, 200), n_shifts=2, shift_spacing=200.0, decimate=1)
    # shifts are forced to 200 and 400: at the first the target meets its own feature again
    assert info.null[0, 0] > 4
    assert abs(info.null[0, 1]) < 0.3
    assert abs(info.corrected[0]) < 0.3
    assert info.raw_null_mean[0] > 2


def test_default_strides_follow_the_series():
    rng = np.random.default_rng(2)
    slow, fast = band_limited(rng, 6000, 1, 0.1, 0.8)[:, 0], band_limited(rng, 6000, 1, 2.0, 8.0)[:, 0]
    one, other = (information(*pair, n_shifts=1) for pair in ((slow, fast), (fast, slow)))
    assert one.decimation == other.decimation == pytest.approx(1000 / (4 * 5.0) / 2, abs=4)
    assert one.correlation_time.value == correlation_time(np.stack([slow, fast], 1)).value
    assert one.theiler_window == one.correlation_time.value
    assert information(slow, fast, 2.0, n_shifts=1).theiler_window == one.theiler_window


def test_p_values_are_uniform_without_information():
    p = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(150, 8)), rng.normal(size=150)
        info = information(X, y, shift_spacing=1.0, decimate=1, theiler_window=1, random_state=seed)
        assert info.n_shifts == 120
        p.append(info.p)
    assert kstest(np.ravel(p), "uniform").pvalue > 0.01
    assert 0.02 < np.mean(np.ravel(p) <= 0.05) < 0.09


def test_information_is_found_and_adjusted():
    rng = np.random.default_rng(3)
    y = rng.normal(size=400)
    X = rng.normal(size=(400, 12))
    X[:, 4] += y
    info = information(X, y, shift_spacing=1.0, decimate=1)
    assert np.argmax(info.corrected) == np.argmax(info.z) == 4
    assert info.p[4] == pytest.approx(max(info.smallest_p[4], 1 / 1441))
    np.testing.assert_allclose(info.p_adjusted, false_discovery_control(info.p))
    np.testing.assert_allclose(info.null_mean, info.null.mean())
    np.testing.assert_allclose(info.z, (info.corrected - info.null_mean) / info.null_std)
    assert info.reason == ""
    assert "inconclusive" not in str(info)


def test_heavy_tails_hide_no_information():
    # 0.2231 nat of a bivariate normal, the same after monotonic functions of either side
    found = []
    for seed in range(8):
        x, e = np.random.default_rng(seed).normal(size=(2, 1500))
        y = 0.6 * x + 0.8 * e
        found.append(information(np.stack([x, np.sinh(2 * x)], 1), np.sinh(2 * y), decimate=1, n_shifts=2).corrected)
    truth = -0.5 * np.log(1 - 0.36)
    np.testing.assert_allclose(np.mean(found, axis=0), truth, atol=0.03)
    assert found[0][0] == pytest.approx(found[0][1], abs=1e-3)  # but for the noise that breaks ties


def test_a_slow_feature_among_fast_ones_has_a_null_of_its_own():
    rng = np.random.default_rng(6)
    fast, slow = band_limited(rng, 6000, 4, 1.0, 4.0), band_limited(rng, 6000, 1, 0.05, 0.4)
    y = band_limited(rng, 6000, 1, 0.05, 4.0)[:, 0]
    info = information(np.concatenate([fast, slow], axis=1), y)
    assert len(set(info.null_mean[:4])) == 1
    assert info.null_std[4] > 1.1 * info.null_std[0]
    assert info.null_std[4] == pytest.approx(info.null[4].std(ddof=1))
    # noise of one speed stays together
    white = information(rng.normal(size=(300, 10)), rng.normal(size=300))
    assert len(set(white.null_mean)) == 1


def test_six_picoseconds_are_enough_for_a_strong_feature():
    # 0.2 to 2 THz, rho 0.9 and 0: shifts a correlation time apart left two to five of them and no power
    hits, false = 0, 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        y, other, none = band_limited(rng, 6000, 3)[::4].T
        X = np.stack([0.9 * y + np.sqrt(0.19) * other, none], axis=1)
        info = information(X[::5], y[::5], 20.0, groups=["told", "not"], workers=1)
        hits += info.p[0] <= 0.05
        false += info.p[1] <= 0.05
    assert hits >= 9
    assert false <= 3


def test_adjusted_values_are_benjamini_and_hochbergs_of_what_is_known():
    p = np.array([0.01, np.nan, 0.04, 0.5])
    np.testing.assert_allclose(adjust(p)[[0, 2, 3]], false_discovery_control([0.01, 0.04, 0.5]))
    assert np.isnan(adjust(p)[1])
    assert np.isnan(adjust([np.nan])).all()


def test_groups_have_their_own_null():
    rng = np.random.default_rng(4)
    info = information(
        rng.normal(size=(200, 5)),
        rng.normal(size=200),
        groups=["Cs", "Cs", "I", "I", "I"],
        shift_spacing=1.0,
        decimate=1,
    )
    assert info.null.shape == (5, 120)
    np.testing.assert_allclose(info.null_mean[:2], info.null[:2].mean())
    np.testing.assert_allclose(info.null_std[2:], info.null[2:].std(ddof=1))
    expected = (1 + np.sum(info.null[2:] >= info.corrected[3])) / (1 + info.null[2:].size)
    assert info.p[3] == pytest.approx(max(expected, info.smallest_p[3]))


def test_copies_do_not_buy_a_smaller_p():
    rng = np.random.default_rng(6)
    null = rng.normal(size=(1, 100))
    assert independent_features(np.repeat(null, 30, axis=0)) == pytest.approx(1.0)
    assert 15 < independent_features(rng.normal(size=(30, 100))) < 30
    wide, tall = rng.normal(size=(6, 4)), rng.normal(size=(4, 6))
    for values in (wide, tall):
        correlation = np.corrcoef(values)
        assert independent_features(values) == pytest.approx(len(values) ** 2 / np.sum(correlation**2))
    y = rng.normal(size=300)
    info = information(np.repeat(y[:, None], 30, axis=1), y, shift_spacing=1.0, n_shifts=50)
    assert np.all(info.p >= 1 / 60)


def test_a_short_trajectory_is_inconclusive_and_says_so():
    rng = np.random.default_rng(7)
    X, y = band_limited(rng, 300, 3), band_limited(rng, 300, 1)[:, 0]
    info = information(X, y, 4.0)
    assert not info.correlation_time.resolved
    assert info.n_shifts <= 3
    assert info.smallest_p.min() >= 0.05
    assert "reach no p below" in info.reason
    assert "not resolved" in info.reason
    assert f"more than {20 * 300 / 1000:.3g} ps is needed" in info.reason
    assert info.length_needed == 20 * 300.0
    assert "inconclusive" in str(info)


def test_what_cannot_be_estimated_is_nan_with_a_reason():
    rng = np.random.default_rng(8)
    info = information(rng.normal(size=(60, 2)).cumsum(0), rng.normal(size=60).cumsum(), decimate=20)
    assert np.isnan(info.corrected).all()
    assert np.isnan(info.p).all()
    assert np.isnan(info.p_adjusted).all()
    assert np.all(info.smallest_p == 1.0)
    assert np.isfinite(info.raw).all()
    assert "one sample in 20 leaves only 3 of 60" in info.reason
    tiny = information(rng.normal(size=(6, 2)), rng.normal(size=6), n_neighbors=3)
    assert np.isnan(tiny.windowed).all() or tiny.theiler_window == 1
    assert tiny.reason


@pytest.mark.parametrize("decimate", [1, 7])
def test_workers_do_not_change_a_bit(decimate):
    rng = np.random.default_rng(9)
    X, y = band_limited(rng, 700, 19, 5, 20), band_limited(rng, 700, 1, 5, 20)[:, 0]
    one, many = (information(X, y, decimate=decimate, workers=workers) for workers in (1, 3))
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(many, field.name)
        assert (
            np.array_equal(a, b, equal_nan=True)
            if a is not b and isinstance(a, np.ndarray) and a.dtype == float
            else np.all(a == b)
        )


def test_elements_are_ranked_and_their_functions_mapped():
    rng = np.random.default_rng(10)
    symbols = ["Cs", "I", "Cs", "I", "I"]
    y = rng.normal(size=500)
    G = rng.normal(size=(500, 5, 3))
    G[:, [1, 3, 4], 2] += y[:, None]
    G[:, [0, 2], 1] += 0.8 * y[:, None]
    ranking = rank_elements(G, symbols, y, shift_spacing=1.0, decimate=1)
    assert [entry.element for entry in ranking.elements] == ["Cs", "I"]
    iodine = ranking["I"]
    raw = mutual_information(G.reshape(500, -1), y).reshape(5, 3)
    np.testing.assert_array_equal(iodine.per_feature, raw[[1, 3, 4]])
    assert iodine.mean_mi == pytest.approx(raw[[1, 3, 4]].sum() / 3)
    np.testing.assert_allclose(iodine.raw_map, raw[[1, 3, 4]].mean(axis=0))
    assert (iodine.best, iodine.best_corrected) == (2, 2)
    assert (ranking["Cs"].best, ranking["Cs"].best_corrected) == (1, 1)
    assert iodine.mean_corrected > ranking["Cs"].mean_corrected > 5 * abs(ranking["Cs"].mean_corrected_null)
    assert iodine.p == pytest.approx(1 / 121)
    assert list(ranking.information.groups[:6]) == ["Cs"] * 3 + ["I"] * 3
    assert "Cs" in str(ranking)
    with pytest.raises(KeyError, match="Pb"):
        ranking["Pb"]


def test_independent_elements_have_the_raw_values_of_their_shifted_selves():
    rng = np.random.default_rng(11)
    G = band_limited(rng, 3000, 12).reshape(3000, 4, 3)
    ranking = rank_elements(G, ["Pb", "Pb", "I", "I"], band_limited(rng, 3000, 1)[:, 0], shift_spacing=400.0)
    for entry in ranking.elements:
        assert entry.mean_mi == pytest.approx(entry.mean_null, abs=0.6)
        assert entry.mean_null > 3  # three functions of more than a nat each, out of nothing
        assert abs(entry.mean_corrected) < 0.5
        assert entry.p > 0.05


def test_a_ranking_without_a_corrected_value_has_no_corrected_best():
    rng = np.random.default_rng(12)
    ranking = rank_elements(rng.normal(size=(40, 2, 2)), ["Si", "O"], rng.normal(size=40), decimate=20)
    assert ranking["Si"].best_corrected is None
    assert np.isnan(ranking["Si"].p)
    assert "inconclusive" in str(ranking)


X, Y = np.random.default_rng(0).normal(size=(50, 2)), np.arange(50.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timestep": 0.0}, "`timestep` must be positive"),
        ({"decimate": 0}, "`decimate` must be positive"),
        ({"shift_spacing": -1.0}, "`shift_spacing` must be positive"),
        ({"n_shifts": 0}, "`n_shifts` must be at least 1"),
        ({"groups": ["Cs"]}, "`groups` must have one label for each of 2 features, but has 1"),
        ({"theiler_window": 40}, "`theiler_window` must leave every sample"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(InputError, match=message):
        information(X, Y, **options)


def test_bad_features_are_named():
    with pytest.raises(InputError, match="`y` must vary"):
        information(X, np.ones(50))
    with pytest.raises(InputError, match=r"`G` must be \[n_frames, n_atoms, n_functions\]"):
        rank_elements(X, ["Cs", "I"], Y)
    with pytest.raises(InputError, match="`symbols` must have one entry for each of 2 atoms, but has 1"):
        rank_elements(X[:, :, None], ["Cs"], Y)


@pytest.mark.parametrize(
    "first", ["import hopcast.information", "from hopcast.information import rank_elements", "hc.information"]
)
def test_package_and_function_share_a_name_in_any_order_of_import(first):
    code = f"""
import hopcast as hc
{first}
import hopcast.information as package
assert hc.information([1.0, 2, 4, 3, 5, 9], [1.0, 3, 2, 4, 6, 5]).n_samples == 6
assert hc.information.rank_elements is package.rank_elements
assert hc.information.information is not package
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_offsets_of_long_series_are_thinned_out_in_value_and_null_alike():
    from hopcast.information.ksg import ksg, scale_series

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(600, 2)), rng.normal(size=600)
    scaled, target = scale_series(X, y, 0)
    few = ksg(scaled, target, n_neighbors=3, step=6, n_offsets=2, shifts=[0, 10])
    ends = [
        ksg(np.ascontiguousarray(scaled[:, o::6]), np.ascontiguousarray(target[o::6]), n_neighbors=3, shifts=[0, 10])
        for o in (0, 5)
    ]
    np.testing.assert_allclose(few, np.mean(ends, axis=0), atol=1e-12)
    every = ksg(scaled, target, n_neighbors=3, step=6)
    np.testing.assert_array_equal(every, ksg(scaled, target, n_neighbors=3, step=6, n_offsets=6))


def test_many_features_are_thinned_and_say_so(monkeypatch):
    """Ten thousand features of a thousand frames would take a minute: their nulls are pooled, so fewer shifts of each say as much."""
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(400, 8)).cumsum(axis=0), rng.normal(size=400).cumsum()
    whole = significance.information(X, y, 1.0)
    monkeypatch.setattr(significance, "_MANY", 2)
    thinned = significance.information(X, y, 1.0)
    assert (whole.thinning, thinned.thinning) == (1.0, 0.25)
    assert "thinned: 25 % of the usual shifts and offsets" in str(thinned)
    assert "thinned" not in str(whole)
    np.testing.assert_array_equal(thinned.raw, whole.raw)  # what is raw is not thinned, its null is
    assert thinned.n_shifts == whole.n_shifts
