"""Compare the strategies of `hopcast select` on the shipped CsPbI3 data, on blocked time.

    python tools/compare_selections.py [--budgets 20 40 80]

A third of the trajectory is held out in turn; pairs are chosen in the rest, 50 fs away from it. Printed: RMSE of gap and |NAC| on
the third held out, and the mean local rate V^2/E^4 of the *whole* trajectory over the true one: from the samples alone
(plain average), and from the forecast of every step (interleaved: all time may be sampled).
"""

import argparse

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
            local = np.union1d(
                local, choose_sequential(X[allowed], cut(ham, allowed, index, local), budget // 4)
            )
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
    gap_model = hc.LaplacianRidge().fit(X[train], gap[train])
    size_model = hc.LaplacianRidge().fit(V[train], (size * gap)[train])
    energy = gap_model.predict(X)
    mean, std = size_model.predict(V, return_std=True)
    return energy, mean / energy, (mean**2 + std**2) / energy**4


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budgets", type=int, nargs="+", default=[20, 40, 80])
    options = parser.parse_args()
    data = hc.load("cspbi3")
    ham = data.hamiltonian.frontier()
    G = hc.SymmetryFunctions.from_trajectory(data.trajectory).transform(data.trajectory)
    G = G.reshape(len(G), -1)
    X = 0.5 * (G[1:] + G[:-1])
    V = np.concatenate([X, np.diff(G, axis=0) / ham.timestep], axis=1)
    gap, size = np.diff(ham.midpoint_energies, axis=1)[:, 0], np.abs(ham.coupling())
    rate = size**2 / gap**2  # V^2/E^4 with V = nac times gap
    steps, purge = np.arange(len(gap)), round(50 / ham.timestep)
    thirds = np.array_split(steps, 3)
    print(f"{'pairs':>5} {'strategy':12}{'gap, meV':>9}{'|NAC|, meV':>11}{'rate: plain':>12}{'forecast':>9}")
    for budget in options.budgets:
        for strategy in ("stride", "farthest", "blocks", "sequential"):
            gaps, sizes = [], []
            for held in thirds:
                allowed = steps[(steps < held[0] - purge) | (steps > held[-1] + purge)]
                train = choose(strategy, X, ham, allowed, budget)
                energy, coupling, _ = forecast(X, V, gap, size, train)
                gaps.append(np.mean((energy - gap)[held] ** 2))
                sizes.append(np.mean((coupling - size)[held] ** 2))
            train = choose(strategy, X, ham, steps, budget)
            local = forecast(X, V, gap, size, train)[2]
            print(
                f"{budget:5d} {strategy:12}{np.sqrt(np.mean(gaps)) * 1e3:9.1f}{np.sqrt(np.mean(sizes)) * 1e3:11.3f}"
                f"{rate[train].mean() / rate.mean():12.2f}{local.mean() / rate.mean():9.2f}",
                flush=True,
            )
    print(f"standard deviation of gap and |NAC|: {gap.std() * 1e3:.1f} and {size.std() * 1e3:.3f} meV")


if __name__ == "__main__":
    main()
