"""`VibronicHamiltonian`: energies and nonadiabatic couplings of a few states along a trajectory."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hopcast.core.blocks import (
    TOLERANCE,
    block_coupling,
    block_means,
    block_name,
    block_slices,
    find_multiplicities,
    merged_couplings,
)
from hopcast.core.errors import ArgumentError
from hopcast.core.showing import Shown, make_dataset, make_table
from hopcast.core.trajectory import checked_frame_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EnergyGrid = Literal["frame", "midpoint"]


@dataclass(frozen=True, eq=False, repr=False)
class VibronicHamiltonian(Shown):
    r"""Adiabatic energies on frames and couplings on mid-points, :math:`H = E_i\delta_{ij} - i\,\hbar d_{ij}`.

    It is sparse by nature: frames and mid-points that are not known hold NaN and are False in their masks.

    Parameters
    ----------
    energies
        [n_frames, n_states], or [n_frames - 1, n_states] where the source has only mid-points
        (``energy_grid="midpoint"``), eV.
    nac
        :math:`\hbar d_{ij}`, :math:`d_{ij} = \langle i|\partial_t j\rangle`, at ``t + timestep / 2``:
        [n_frames - 1, n_states, n_states], anti-Hermitian, real or complex, eV.
    timestep
        Time between frames, fs.
    overlaps
        Raw :math:`S_{ij}(t) = \langle i(t)|j(t+\Delta t)\rangle` where they are known [n_frames - 1, n_states, n_states].
    n_occupied
        Number of the given states that are occupied in the ground state.
    state_labels
        One name a state; the default is "0", "1", ...
    energy_grid
        Where the energies live, "frame" or "midpoint".
    energy_known, nac_known
        Masks over the first axis of `energies` and of `nac`; the default is where all entries are finite.
    provenance
        Where the numbers come from: format, sign, units, tracking and phase correction, as text.
    frame_numbers
        The numbers that the source gave its frames (names of files), in its own count [n_frames]; of mid-points that of the
        frame before, and one more at the end. None where it gave none.
    multiplicities
        Numbers of neighbouring states that are degenerate and count as one (`hopcast.core.blocks`), e.g. (2, 2) for two
        Kramers pairs; empty where each is its own.

    Raises
    ------
    InputError
        If shapes disagree, a known number is not finite, a known coupling is not anti-Hermitian, or occupations split a
        degenerate block.
    """

    energies: NDArray[np.float64]
    nac: NDArray[Any]
    timestep: float
    overlaps: NDArray[Any] | None = None
    n_occupied: int | None = None
    state_labels: tuple[str, ...] = ()
    energy_grid: EnergyGrid = "frame"
    energy_known: NDArray[np.bool_] = None  # type: ignore[assignment] # never None after __post_init__
    nac_known: NDArray[np.bool_] = None  # type: ignore[assignment]
    provenance: Mapping[str, str] = field(default_factory=dict)
    frame_numbers: NDArray[np.int64] | None = None
    multiplicities: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        energies = np.asarray(self.energies, dtype=np.float64)
        nac = np.asarray(self.nac)
        nac = nac if np.iscomplexobj(nac) else nac.astype(np.float64, copy=False)
        if energies.ndim != 2 or energies.shape[0] == 0:
            raise ArgumentError(
                f"Argument `energies` must have the shape [n_frames, n_states], but has {energies.shape}."
            )
        if self.energy_grid not in ("frame", "midpoint"):
            raise ArgumentError(f"Argument `energy_grid` must be `frame` or `midpoint`, but is `{self.energy_grid}`.")
        n_states = energies.shape[1]
        n_steps = energies.shape[0] - (self.energy_grid == "frame")
        if n_steps < 1:
            raise ArgumentError("A vibronic Hamiltonian needs at least two frames, but `energies` has one.")
        if nac.shape != (n_steps, n_states, n_states):
            raise ArgumentError(
                f"Argument `nac` must hold a matrix at each of the {n_steps} mid-points of the "
                f"{energies.shape[0]} energies, [{n_steps}, {n_states}, {n_states}], but has the shape {nac.shape}."
            )
        if not (np.isfinite(self.timestep) and self.timestep > 0):
            raise ArgumentError(f"Argument `timestep` must be a positive number of fs, but is {self.timestep}.")
        overlaps = None if self.overlaps is None else np.asarray(self.overlaps)
        if overlaps is not None and overlaps.shape != nac.shape:
            raise ArgumentError(
                f"Argument `overlaps` must have the shape of `nac`, {nac.shape}, but has {overlaps.shape}."
            )
        if self.n_occupied is not None and not 0 <= self.n_occupied <= n_states:
            raise ArgumentError(
                f"Argument `n_occupied` must lie between 0 and the {n_states} states, but is {self.n_occupied}."
            )
        labels = tuple(self.state_labels) or tuple(str(i) for i in range(n_states))
        if len(labels) != n_states:
            raise ArgumentError(f"Argument `state_labels` must name {n_states} states, but names {len(labels)}.")
        multiplicities = tuple(int(size) for size in self.multiplicities) or (1,) * n_states
        if sum(multiplicities) != n_states or min(multiplicities) < 1:
            raise ArgumentError(
                f"Argument `multiplicities` must add up to the {n_states} states, but is {self.multiplicities}."
            )
        _check_occupations(self.n_occupied, multiplicities, labels)
        multiplicities = multiplicities if max(multiplicities) > 1 else ()
        energy_known = _known("energies", "frame", energies, self.energy_known)
        nac_known = _known("nac", "mid-point", nac, self.nac_known)
        _check_antihermitian(nac, nac_known)
        for name, value in (
            ("energies", energies),
            ("nac", nac),
            ("timestep", float(self.timestep)),
            ("overlaps", overlaps),
            ("state_labels", labels),
            ("energy_known", energy_known),
            ("nac_known", nac_known),
            ("provenance", dict(self.provenance)),
            ("frame_numbers", checked_frame_numbers(self.frame_numbers, n_steps + 1)),
            ("multiplicities", multiplicities),
        ):
            object.__setattr__(self, name, value)

    @property
    def n_states(self) -> int:
        """Number of states."""
        return int(self.energies.shape[1])

    @property
    def n_blocks(self) -> int:
        """Number of blocks: states, of which degenerate ones count as one."""
        return len(self.multiplicities) or self.n_states

    @property
    def is_degenerate(self) -> bool:
        """Whether some states are degenerate and count as one."""
        return bool(self.multiplicities)

    @property
    def blocks(self) -> tuple[slice, ...]:
        """The states of each block."""
        return block_slices(self.multiplicities or (1,) * self.n_states)

    @property
    def block_labels(self) -> tuple[str, ...]:
        """One name a block: that of its only state, or "VBM pair" where occupations are known, or "7/8 pair"."""
        occupied = self._n_occupied_blocks()
        return tuple(
            block_name(self.state_labels[block], None if occupied is None else number - occupied + 1)
            for number, block in enumerate(self.blocks)
        )

    @property
    def block_energies(self) -> NDArray[np.float64]:
        """Energy of each block, the mean of its states, on the grid of the energies, eV."""
        return block_means(self.energies, self.blocks) if self.is_degenerate else self.energies

    @property
    def n_steps(self) -> int:
        """Number of nuclear steps (mid-points)."""
        return int(self.nac.shape[0])

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self.n_steps + 1

    @property
    def duration(self) -> float:
        """Time between the first and the last frame, fs."""
        return self.n_steps * self.timestep

    @property
    def is_complete(self) -> bool:
        """Whether every energy and every coupling is known."""
        return bool(np.all(self.energy_known) and np.all(self.nac_known))

    @property
    def midpoint_energies(self) -> NDArray[np.float64]:
        """Energies at mid-points, averaged from the frames where they live there [n_steps, n_states], eV."""
        if self.energy_grid == "midpoint":
            return self.energies
        return 0.5 * (self.energies[1:] + self.energies[:-1])

    def gap(self, pair: tuple[int, int] = (0, 1)) -> NDArray[np.float64]:
        """Return ``E[pair[1]] - E[pair[0]]`` of two states (blocks where some are degenerate) on the grid of the energies, eV."""
        low, high = (self._block(block) for block in pair)
        energies = self.block_energies
        return energies[:, high] - energies[:, low]

    def coupling(self, pair: tuple[int, int] = (0, 1)) -> NDArray[Any]:
        r"""Return ``nac[:, pair[0], pair[1]]`` on mid-points, eV.

        Where states are degenerate, of two blocks: :math:`\pm\lVert N\rVert_F/\sqrt{m}`, `m` the multiplicity of ``pair[1]`` (sum over
        final states, mean over initial ones, see `hopcast.core.blocks.block_coupling`).
        """
        low, high = (self._block(block) for block in pair)
        if not self.is_degenerate:
            return self.nac[:, low, high]
        blocks = self.blocks
        return block_coupling(self.nac[:, blocks[low], blocks[high]]) / np.sqrt(self.multiplicities[high])

    def with_blocks(self, tolerance: float = TOLERANCE) -> VibronicHamiltonian:
        """Return the Hamiltonian with its degenerate blocks, found from the energies and the raw overlaps.

        Neighbouring states that are closer than `tolerance` (eV) at most frames are one block, and so are those a few meV apart that
        the overlaps mix at most steps (`hopcast.core.blocks.find_multiplicities`). Without any it is returned as it is.

        Raises
        ------
        InputError
            If `n_occupied` splits a block.
        """
        found = find_multiplicities(self.energies, tolerance, self.overlaps)
        return dataclasses.replace(self, multiplicities=found) if self.is_degenerate or max(found) > 1 else self

    def merged(self) -> VibronicHamiltonian:
        r"""Return the Hamiltonian of the blocks as plain states: mean energies, one real coupling between each two.

        The coupling is the signed norm of `coupling`: its square is the sum over final states and the mean over those of the upper
        block, so that downward rates are those of the blocks. It is exact where the couplings of two blocks are
        :math:`v(t)` times a fixed unitary matrix (a model doubled by time reversal). Without degeneracy it is returned as it is.
        """
        if not self.is_degenerate:
            return self
        return dataclasses.replace(
            self,
            energies=self.block_energies,
            nac=merged_couplings(self.nac, self.multiplicities),
            overlaps=None,
            n_occupied=self._n_occupied_blocks(),
            state_labels=self.block_labels,
            multiplicities=(),
            provenance={
                **self.provenance,
                "blocks": f"{self.n_blocks} of {self.n_states} states, couplings are norms over the root of the upper multiplicity",
            },
        )

    def select(self, states: Sequence[int]) -> VibronicHamiltonian:
        """Return the Hamiltonian of some states, in the order given.

        Raises
        ------
        InputError
            If a state is out of range or named twice, or a degenerate block is cut.
        """
        index = [self._state(state) for state in states]
        if len(set(index)) != len(index) or not index:
            raise ArgumentError(f"Argument `states` must name at least one state, each once, but is {list(states)}.")
        multiplicities = self._multiplicities_of(index)
        block = np.ix_(range(self.n_steps), index, index)
        occupied = None
        if self.n_occupied is not None:
            occupied = sum(state < self.n_occupied for state in index)
        return dataclasses.replace(
            self,
            energies=self.energies[:, index],
            nac=self.nac[block],
            overlaps=None if self.overlaps is None else self.overlaps[block],
            n_occupied=occupied,
            state_labels=tuple(self.state_labels[state] for state in index),
            multiplicities=multiplicities,
        )

    def frontier(self) -> VibronicHamiltonian:
        """Return the two states at the gap: highest occupied (VBM, 0) and lowest unoccupied (CBM, 1); of two states, both.

        Where they are degenerate, the two blocks.

        Raises
        ------
        InputError
            If `n_occupied` is unknown (of more than two states) or leaves no state on one side, or if the gap closes
            (states are not in energy order there, so "VBM" would be another state).
        """
        n_occupied = 1 if self.n_occupied is None and self.n_blocks == 2 else self._n_occupied_blocks()
        if n_occupied is None:
            raise ArgumentError(
                f"The frontier states need the number of occupied states, but the Hamiltonian of {self.n_states} states does not know it. "
                "Name the two states (`states = [7, 8]` under [data] of a study, `--states` of a command), or read it with "
                "`n_occupied` (`hopcast convert --occupied`)."
            )
        vbm, cbm = n_occupied - 1, n_occupied
        if vbm < 0 or cbm >= self.n_blocks:
            raise ArgumentError(
                f"The frontier states need one occupied and one unoccupied state, but {self.n_occupied} "
                f"of the {self.n_states} states are occupied."
            )
        known = np.flatnonzero(self.energy_known)
        energies = self.block_energies[known]
        labels = self.block_labels
        left = (energies[:, : vbm + 1].argmax(axis=1) != vbm) | (energies[:, cbm:].argmin(axis=1) != 0)
        if left.any():
            raise ArgumentError(
                f"States {labels[vbm]} and {labels[cbm]} must stay at the band edges, but at "
                f"frame {known[left][0]} another state lies between them. Use states in energy order (tracking `energy`)."
            )
        gap = energies[:, cbm] - energies[:, vbm]
        if gap.size and gap.min() <= 0:
            raise ArgumentError(
                f"The gap between {labels[vbm]} and {labels[cbm]} must stay open, "
                f"but is {gap.min():.4g} eV at frame {known[gap.argmin()]}."
            )
        return self.select([state for edge in (vbm, cbm) for state in range(*self.blocks[edge].indices(self.n_states))])

    def __getitem__(self, frames: slice) -> VibronicHamiltonian:
        """Return a contiguous run of frames and the couplings between them."""
        if not isinstance(frames, slice) or frames.step not in (None, 1):
            raise ArgumentError("A Hamiltonian is cut by a slice of frames without a step, e.g. `ham[:100]`.")
        start, stop, _ = frames.indices(self.n_frames)
        if stop - start < 2:
            raise ArgumentError(f"A Hamiltonian needs at least two frames, but frames {start}:{stop} were asked for.")
        last = stop - (self.energy_grid == "midpoint")
        return dataclasses.replace(
            self,
            energies=self.energies[start:last],
            energy_known=self.energy_known[start:last],
            nac=self.nac[start : stop - 1],
            nac_known=self.nac_known[start : stop - 1],
            overlaps=None if self.overlaps is None else self.overlaps[start : stop - 1],
            frame_numbers=None if self.frame_numbers is None else self.frame_numbers[start:stop],
        )

    def write(self, path: str | Path, format: str = "hopcast") -> None:
        """Write the Hamiltonian to `path` in one of the registered formats (see `hopcast.write_hamiltonian`)."""
        # the one import against the order of the pipeline: a convenience for users, resolved when called
        from hopcast.io import write_hamiltonian

        write_hamiltonian(self, path, format=format)

    def _state(self, state: int) -> int:
        if not 0 <= int(state) < self.n_states:
            raise ArgumentError(
                f"State {state} must lie between 0 and {self.n_states - 1}, the states of this Hamiltonian."
            )
        return int(state)

    def _block(self, block: int) -> int:
        if not self.is_degenerate:
            return self._state(block)
        if not 0 <= int(block) < self.n_blocks:
            raise ArgumentError(
                f"Block {block} must lie between 0 and {self.n_blocks - 1}, the blocks of degenerate states of this Hamiltonian."
            )
        return int(block)

    def _n_occupied_blocks(self) -> int | None:
        if self.n_occupied is None or not self.is_degenerate:
            return self.n_occupied
        return int(np.searchsorted(np.cumsum(self.multiplicities), self.n_occupied, side="right"))

    def _multiplicities_of(self, index: Sequence[int]) -> tuple[int, ...]:
        """Return the multiplicities of some states in their order, or say which block they cut."""
        if not self.is_degenerate:
            return ()
        home = np.repeat(np.arange(self.n_blocks), self.multiplicities)
        found: list[int] = []
        at = 0
        while at < len(index):
            block = int(home[index[at]])
            size = self.multiplicities[block]
            if any(home[state] != block for state in index[at : at + size]) or at + size > len(index):
                names = ", ".join(self.state_labels[self.blocks[block]])
                raise ArgumentError(
                    f"Argument `states` must not cut degenerate states, but of {names} (one energy at most frames) it takes a part. "
                    "Name all of them, one after the other, or none."
                )
            found.append(size)
            at += size
        return tuple(found)

    def headline(self) -> str:
        """Return states, frames and what is known of them."""
        kind = "complex" if np.iscomplexobj(self.nac) else "real"
        known = (
            ""
            if self.is_complete
            else (f", {self.energy_known.sum()} energies and {self.nac_known.sum()} couplings known")
        )
        states = f"{self.n_states} states"
        if self.is_degenerate:
            states += f" in {self.n_blocks} degenerate blocks"
        return f"{states}, {self.n_frames} frames, {self.timestep:g} fs apart, {kind} couplings{known}"

    def __str__(self) -> str:
        gap = ""
        if self.n_occupied is not None and 0 < self.n_occupied < self.n_states:
            gaps = self.gap((self.n_occupied - 1, self.n_occupied))[self.energy_known]
            gap = (
                f"\n  gap {np.mean(gaps):.4g} eV on average, {np.min(gaps):.4g} to {np.max(gaps):.4g} eV"
                if gaps.size
                else ""
            )
        source = "".join(f"\n  {key}: {value}" for key, value in self.provenance.items())
        return f"Vibronic Hamiltonian: {self.headline()}\n  states {', '.join(self.state_labels)}{gap}{source}"

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the energies against time; returns the axes."""
        from hopcast.core.plot import plot_energies

        return plot_energies(self, axes)

    def to_dataframe(self) -> Any:
        """Return the known energies as a pandas table: a row a frame (or mid-point), a column a state, indexed by the time in fs.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        offset = 0.5 if self.energy_grid == "midpoint" else 0.0
        rows = np.flatnonzero(self.energy_known)
        columns = {"time": (rows + offset) * self.timestep}
        return make_table(columns | {name: self.energies[rows, i] for i, name in enumerate(self.state_labels)}, "time")

    def to_xarray(self) -> Any:
        """Return energies (time, state) and couplings (midpoint, state, other) as an xarray dataset, NaN where unknown; eV, fs.

        Raises
        ------
        InputError
            If xarray is not installed.
        """
        offset = 0.5 if self.energy_grid == "midpoint" else 0.0
        names, steps = np.array(self.state_labels), np.arange(len(self.nac))
        return make_dataset(
            {
                "energies": (("time", "state"), self.energies, "eV"),
                "nac": (("midpoint", "state", "other"), self.nac, "eV"),
            },
            {
                "time": ("time", (np.arange(len(self.energies)) + offset) * self.timestep, "fs"),
                "midpoint": ("midpoint", (steps + 0.5) * self.timestep, "fs"),
                "state": ("state", names, ""),
                "other": ("other", names, ""),
            },
        )


def _check_occupations(n_occupied: int | None, multiplicities: tuple[int, ...], labels: tuple[str, ...]) -> None:
    for block in block_slices(multiplicities):
        if n_occupied is not None and block.start < n_occupied < block.stop:
            raise ArgumentError(
                f"Argument `n_occupied` must not split degenerate states, but {n_occupied} lies among {', '.join(labels[block])} "
                f"(one energy at most frames). Give {block.start} or {block.stop}, or look whether the window begins where you think."
            )


def _known(name: str, place: str, values: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if mask is None:
        # an entry that is NaN throughout is unknown; one that is NaN in places is broken
        unknown = np.isnan(values).reshape(len(values), -1).all(axis=1)
        mask = ~unknown
    else:
        mask = np.asarray(mask, dtype=bool)
        if mask.shape != (len(values),):
            raise ArgumentError(
                f"The mask of `{name}` must have one entry a {place}, {len(values)}, but has the shape {mask.shape}."
            )
    broken = np.flatnonzero(mask & ~finite)
    if broken.size:
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(values[broken[0]]))[0])
        raise ArgumentError(
            f"Argument `{name}` must be finite where it is known, but {place} {broken[0]} has "
            f"{values[broken[0]][where]} at state {', '.join(str(i) for i in where)}."
        )
    return mask


def _check_antihermitian(nac: NDArray[Any], known: NDArray[np.bool_]) -> None:
    if not known.any():
        return
    residual = np.abs(nac + nac.conj().swapaxes(1, 2)).max(axis=(1, 2))
    residual[~known] = 0.0
    scale = float(np.nanmax(np.abs(nac), initial=0.0))
    worst = int(residual.argmax())
    if residual[worst] > 1e-6 * scale + 1e-12:
        raise ArgumentError(
            "Argument `nac` must be anti-Hermitian (real: antisymmetric), but mid-point "
            f"{worst} deviates by {residual[worst]:.3g} eV."
        )
