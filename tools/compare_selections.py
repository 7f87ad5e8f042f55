"""Compare the strategies of `hopcast select` on the shipped CsPbI3 data, on blocked time.

    python tools/compare_selections.py [--budgets 20 40 80]

A third of the trajectory is held out in turn; pairs are chosen in the rest, 50 fs away from it. Printed for the third held
out: RMSE of gap and |NAC|, and the factor by which the lifetime of the forecast (exact solver) is off, geometric mean of the three thirds.
Then, where all time may be sampled, the *whole* trajectory: mean local rate V^2/E^4 of the samples alone (plain average), and the
forecast's lifetime, each over the true one. "mean" knows nothing but mean gap and rms coupling of the equal stride's samples.
"""

import argparse
import warnings

import numpy as np

import hopcast as hc
from hopcast.selection import choose_blocks, choose_farthest, choose_sequential, choose_stride


def choose(strategy, X, ham, allowed, budget):
    index = np.arange(len(allowed))
    if strategy == "stride":
        local = choose_stride(len(allowed), budget)
    elif strategy == "blocks":
        local = choose_blocks(len(allowed), budget, n_blocks=2)
    elif strategy == "farthest":
        local = choose_farthest(X[allowed], budget)
    else:  # half by equal stride, then two rounds by the posterior
        local = choose_stride(len(allowed), budget // 2)
        for _ in range(2):
            local = np.union1d(local, choose_sequential(X[allowed], cut(ham, allowed, index, local), budget // 4))
    return allowed[local]


def cut(ham, allowed, index, local):
    """Return a Hamiltonian of the allowed steps in which only `local` ones are known."""
    energies = np.full((len(allowed) + 1, 2), np.nan)
    nac = np.full((len(allowed), 2, 2), np.nan)
    middle = ham.midpoint_energies
    for step in local:
        energies[step] = energies[step + 1] = middle[allowed[step]]
        nac[step] = ham.nac[allowed[step]]
    return hc.VibronicHamiltonian(energies, nac, ham.timestep, n_occupied=1)


def forecast(X, V, gap, size, train):
    """Return the forecast gap and |NAC| (with the posterior's variance of V) at every step."""
    energy = hc.LaplacianRidge().fit(X[train], gap[train]).predict(X)
    mean, std = hc.LaplacianRidge().fit(V[train], (size * gap)[train]).predict(V, return_std=True)
    return energy, np.sqrt(mean**2 + std**2) / energy


def lifetime(gap, size, timestep, tau):
    """Return the exact solver's lifetime of a two-state Hamiltonian with these gaps and |NAC| at mid-points."""
    nac = np.zeros((len(gap), 2, 2))
    nac[:, 0, 1], nac[:, 1, 0] = size, -size
    energies = np.stack([np.zeros(len(gap)), gap], axis=1)
    ham = hc.VibronicHamiltonian(energies, nac, timestep, n_occupied=1, energy_grid="midpoint")
    return hc.run_dynamics(ham, method="exact", duration=1e6, dephasing_time=tau).lifetime.value


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budgets", type=int, nargs="+", default=[20, 40, 80])
    options = parser.parse_args()
    warnings.simplefilter("ignore", hc.QualityWarning)  # short pieces: the intervals are not used here
    data = hc.load("cspbi3")
    ham = data.hamiltonian.frontier()
    G = hc.SymmetryFunctions.from_trajectory(data.trajectory).transform(data.trajectory)
    G = G.reshape(len(G), -1)
    X = 0.5 * (G[1:] + G[:-1])
    V = np.concatenate([X, np.diff(G, axis=0) / ham.timestep], axis=1)
    gap, size = np.diff(ham.midpoint_energies, axis=1)[:, 0], np.abs(ham.coupling())
    rate = size**2 / gap**2  # V^2/E^4 with V = nac times gap
    tau = float(hc.dephasing_time(ham))
    steps, purge = np.arange(len(gap)), round(50 / ham.timestep)
    thirds = np.array_split(steps, 3)
    true = [lifetime(gap[part], size[part], ham.timestep, tau) for part in (*thirds, steps)]

    def guess(strategy, allowed, budget):
        train = choose("stride" if strategy == "mean" else strategy, X, ham, allowed, budget)
        if strategy == "mean":
            constant = (np.full(len(gap), gap[train].mean()), np.full(len(gap), np.sqrt((size[train] ** 2).mean())))
            return train, *constant
        return train, *forecast(X, V, gap, size, train)

    print(f"{'':18}{'held-out thirds':>34}{'all time sampled':>21}")
    print(f"{'pairs':>5} {'strategy':12}{'gap, meV':>11}{'|NAC|, meV':>12}{'lifetime':>11}{'rate':>11}{'lifetime':>10}")
    for budget in options.budgets:
        for strategy in ("mean", "stride", "farthest", "blocks", "sequential"):
            gaps, sizes, factors = [], [], []
            for held, known in zip(thirds, true, strict=False):
                allowed = steps[(steps < held[0] - purge) | (steps > held[-1] + purge)]
                _, energy, coupling = guess(strategy, allowed, budget)
                gaps.append(np.mean((energy - gap)[held] ** 2))
                sizes.append(np.mean((coupling - size)[held] ** 2))
                factors.append(abs(np.log(lifetime(energy[held], coupling[held], ham.timestep, tau) / known)))
            train, energy, coupling = guess(strategy, steps, budget)
            print(
                f"{budget:5d} {strategy:12}{np.sqrt(np.mean(gaps)) * 1e3:11.1f}{np.sqrt(np.mean(sizes)) * 1e3:12.3f}"
                f"{'x/ ' + format(np.exp(np.mean(factors)), '.2f'):>11}{rate[train].mean() / rate.mean():11.2f}"
                f"{lifetime(energy, coupling, ham.timestep, tau) / true[-1]:10.2f}",
                flush=True,
            )
    thirds_text = ", ".join(f"{value:.3g}" for value in true[:3])
    print(f"standard deviation of gap and |NAC|: {gap.std() * 1e3:.1f} and {size.std() * 1e3:.3f} meV")
    print(f"true lifetime: thirds {thirds_text} ns, all {true[-1]:.3g} ns; dephasing time {tau:.2f} fs")


if __name__ == "__main__":
    main()
