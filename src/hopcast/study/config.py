"""The study file: one TOML with one table for each stage; every key has a default but the data."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from hopcast.core.errors import MAX_SEED, ConfigError, nearest
from hopcast.core.inputs import refuse_pipe
from hopcast.descriptors.symmetry_functions import MOST_FUNCTIONS


class Section(BaseModel):
    """A table of the study file: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSection(Section):
    """Where the data come from: the name of a shipped set, or two files."""

    dataset: str | None = Field(None, description="Name of a shipped data set (`cspbi3`).")
    trajectory: Path | None = Field(None, description="Trajectory file: our HDF5 or any format of `hopcast formats`.")
    hamiltonian: Path | None = Field(None, description="Hamiltonian file: our HDF5.")
    timestep: PositiveFloat | None = Field(None, description="fs between frames, for files that do not say it.")
    cell: list[float] | list[list[float]] | None = Field(None, description="Å, for trajectory files without a cell.")
    prefix: str | None = Field(
        None,
        description="What the names of a Hamiltonian's files begin with, where a folder holds several (`Hvib_sd_`).",
    )
    elements: list[str] | None = Field(
        None, description="Elements of the atoms or types, for trajectory files that do not name them (LAMMPS)."
    )
    frames: str | None = Field(None, description="The frames that are used, `500:800` (the last left out); None: all.")
    states: tuple[str, str] | tuple[int, int] | None = Field(
        None,
        description="The two states, lower first, by label (also VBM, CBM+1) or by number from 0; None: VBM and CBM.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> DataSection:
        if (self.dataset is None) == (self.trajectory is None and self.hamiltonian is None):
            raise ValueError("give either `dataset`, or `trajectory` and `hamiltonian`")
        if self.dataset is None and (self.trajectory is None or self.hamiltonian is None):
            raise ValueError("give both `trajectory` and `hamiltonian`")
        return self


class CouplingsSection(Section):
    """How couplings are built where the Hamiltonian comes with raw overlaps."""

    tracking: Literal["energy", "trivial"] = "energy"
    derivative: Literal["log", "difference"] = "log"


class FeaturesSection(Section):
    """Symmetry functions; what is None is found from the trajectory."""

    mode: Literal["paper", "default"] = "paper"
    r_s: list[PositiveFloat] | None = Field(None, description="Å")
    theta_s: list[float] | None = Field(None, description="radians")
    r_cut: PositiveFloat | None = Field(None, description="Å")
    eta: PositiveFloat = Field(0.15, description="1/Å^2")
    zeta: PositiveFloat = 1.0
    images: Literal["all", "mic"] | None = None
    elements: list[str] | None = Field(None, description="Elements the features see; None: all. Others are left out.")
    molecules: list[str] = Field(
        [],
        description="Elements of molecules: each molecule is one site at its centre of mass, called as its heaviest atom.",
    )
    max_functions: PositiveInt | None = Field(
        MOST_FUNCTIONS, description="Functions an atom; beyond, those of the lightest elements are left out."
    )


class InformationSection(Section):
    """Mutual information and its nulls."""

    n_neighbors: PositiveInt = 3
    theiler_window: PositiveFloat | None = Field(None, description="fs; None: the correlation time.")
    selection: Literal["mrmr", "cmi"] = Field("mrmr", description="How features are chosen one after the other.")
    n_select: Annotated[int, Field(ge=0)] = Field(6, description="How many are chosen.")


class ModelsSection(Section):
    """Forecasts of the gap and the coupling, and their splits."""

    mode: Literal["paper", "default"] = "paper"
    elements: list[str] | None = Field(None, description="Elements with a model of their own; None: each.")
    stride: PositiveFloat = Field(24.0, description="fs between training frames, rounded to whole frames.")
    n_blocks: Annotated[int, Field(ge=2)] = Field(5, description="Held-out blocks of the blocked split.")
    purge: float | None = Field(None, ge=0, description="fs on both sides of a block; None: 2 correlation times.")
    trajectory_split: bool | None = Field(
        None, description="Hold whole trajectories out; None: where there are several."
    )
    n_shifts: Annotated[int, Field(ge=1)] = Field(20, description="Circular shifts of the control.")
    n_samples: Annotated[int, Field(ge=2)] = Field(50, description="Posterior draws for the model's part of intervals.")
    hamiltonians: bool | None = Field(
        None,
        description="Also forecast whole Hamiltonians (tight binding); None: of separate pairs in cells of at most 40 atoms.",
    )


class SamplesSection(Section):
    """How forecasts are scored where only pairs of frames are known (a sparse Hamiltonian)."""

    n_folds: Annotated[int, Field(ge=2)] = Field(
        10, description="Folds in which every n-th pair is held out while its neighbours train."
    )
    block: PositiveFloat | None = Field(
        None,
        description="fs, stretches of time held out; None: a twentieth of the trajectory, at least 2 correlation times.",
    )
    candidates: bool = Field(
        True, description="Choose among further representations and learners by nested held-out stretches."
    )


class DynamicsSection(Section):
    """Surface hopping on each Hamiltonian."""

    rule: Literal["consistent"] = "consistent"
    waiting: Literal["exponential"] = "exponential"
    duration: PositiveFloat = Field(10e6, description="fs")
    temperature: PositiveFloat | None = Field(300.0, description="K; leave detailed balance out with 0 in TOML.")
    dephasing_time: PositiveFloat | None = Field(None, description="fs; None: from the ab initio gap.")
    tau_convention: Literal["gaussian", "e-folding", "pyxaid", "libra"] = "gaussian"
    n_times: Annotated[int, Field(ge=2)] = 1000
    coupling_interpolation: Literal["linear", "constant"] = "linear"
    n_bootstrap: Annotated[int, Field(ge=100)] = 2000

    @model_validator(mode="before")
    @classmethod
    def _no_temperature(cls, values: Any) -> Any:
        # TOML has no null: 0 K stands for "no detailed balance"
        if isinstance(values, dict) and values.get("temperature") == 0:
            return {**values, "temperature": None}
        return values


class EvaluationSection(Section):
    """Learning curves, calibrated error bars and claims."""

    enabled: bool = True
    profile: Literal["full", "quick"] = "full"
    strides: list[PositiveFloat] | None = Field(
        None, description="fs; None: one frame to 1 ps in even ratios (12, quick: 6)."
    )
    n_rate_samples: Annotated[int, Field(ge=2)] = Field(
        20, description="Posterior series put into the dynamics of each forecast."
    )


class ChecksSection(Section):
    """The exact solver against the Monte Carlo engine, and FSSH beside DISH, on the ab initio Hamiltonian."""

    enabled: bool = True
    n_seeds: Annotated[int, Field(ge=2)] = 20
    n_trajectories: Annotated[int, Field(ge=10)] = 1200
    fssh: bool = True


class RelaxationSection(Section):
    """Carriers relaxing through the bands beside the gap, where the window holds them."""

    enabled: bool = True
    methods: list[Literal["dish", "fssh", "gfsh", "mssh", "msdm", "ida", "bl-lz"]] = Field(
        ["dish", "msdm", "fssh"], min_length=1, description="Sampled methods, the first is drawn."
    )
    duration: PositiveFloat = Field(1e4, description="fs; the trajectory is looped.")
    n_starts: PositiveInt = Field(20, description="Initial times, spread evenly.")
    n_trajectories: PositiveInt = Field(10, description="From each initial time.")
    n_times: Annotated[int, Field(ge=6)] = 200
    n_states: Annotated[int, Field(ge=2)] = Field(8, description="Most bands on either side of the gap.")
    pair_states: Annotated[int, Field(ge=0)] = Field(
        7, description="Most bands of either carrier in the run of electron and hole together; 0 leaves it out."
    )


class ElectronsSection(Section):
    """Orbitals to look at: density of states by element, band-edge states."""

    plan: Path | None = Field(None, description="Folder of a plan that hopcast compute worked on.")


class StudyConfig(Section):
    """A whole study."""

    title: str = ""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    data: DataSection
    more_data: list[DataSection] = Field(
        default_factory=list, description="Further trajectories of the material; [[data]] given several times."
    )
    couplings: CouplingsSection = Field(default_factory=CouplingsSection)
    features: FeaturesSection = Field(default_factory=FeaturesSection)
    information: InformationSection = Field(default_factory=InformationSection)
    models: ModelsSection = Field(default_factory=ModelsSection)
    samples: SamplesSection = Field(default_factory=SamplesSection)
    dynamics: DynamicsSection = Field(default_factory=DynamicsSection)
    relaxation: RelaxationSection = Field(default_factory=RelaxationSection)
    evaluation: EvaluationSection = Field(default_factory=EvaluationSection)
    checks: ChecksSection = Field(default_factory=ChecksSection)
    electrons: ElectronsSection = Field(default_factory=ElectronsSection)

    @model_validator(mode="before")
    @classmethod
    def _several(cls, values: Any) -> Any:
        # [[data]] written several times is a list: the first is the study's, the others follow
        if isinstance(values, dict) and isinstance(values.get("data"), list):
            if not values["data"]:
                raise ValueError("`data` must name at least one trajectory")
            if values.get("more_data"):
                raise ValueError("give several trajectories as [[data]] or as `more_data`, not both")
            first, *others = values["data"]
            return {**values, "data": first, "more_data": others}
        return values

    @model_validator(mode="after")
    def _enough_trajectories(self) -> StudyConfig:
        if self.models.trajectory_split and not self.more_data:
            raise ValueError(
                "`models.trajectory_split` needs at least two trajectories to hold one out, but there is one: "
                "write [[data]] once for each, or leave the key out"
            )
        return self


def read_config(path: str | Path) -> StudyConfig:
    """Read a study file; relative paths in it are relative to the file.

    Raises
    ------
    ConfigError
        If the file is missing, not TOML, or a key or value is wrong (names the key and the nearest match).
    """
    name = refuse_pipe(path)
    try:
        values = tomllib.loads(name.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"Study file `{name}` does not exist. Check the path.") from None
    except OSError as error:
        raise ConfigError(f"Study file `{name}` cannot be read: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"Study file `{name}` is not valid TOML: {error}.") from error
    config = parse_config(values, source=f"Study file `{name}`")
    return config.model_copy(
        update={
            "data": _beside(name.parent, config.data),
            "more_data": [_beside(name.parent, one) for one in config.more_data],
            "electrons": ElectronsSection(plan=config.electrons.plan and name.parent / config.electrons.plan),
        }
    )


def _beside(folder: Path, data: DataSection) -> DataSection:
    """Return the section with its paths relative to the folder of the study file."""
    if data.trajectory is None or data.hamiltonian is None:
        return data
    return data.model_copy(update={"trajectory": folder / data.trajectory, "hamiltonian": folder / data.hamiltonian})


def parse_config(values: dict[str, Any], *, source: str = "The study") -> StudyConfig:
    """Return the configuration of a mapping as TOML gives it.

    Raises
    ------
    ConfigError
        On the first wrong key or value.
    """
    try:
        return StudyConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_one_sentence(source, error)) from None


def _one_sentence(source: str, error: ValidationError) -> str:
    # an unknown key explains the others (a missing key misspelt), so it goes first
    problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    first = problems[0]
    path = [str(part) for part in first["loc"]]
    place = ".".join(path)
    more = f" ({len(problems) - 1} more problem{'s' if len(problems) > 2 else ''})" if len(problems) > 1 else ""
    if first["type"] == "extra_forbidden":
        table = f"table `[{'.'.join(path[:-1])}]`" if path[:-1] else "the study file"
        return f"{source} has the unknown key `{place}`.{nearest(path[-1], _keys(path[:-1]))} See the keys of {table} in the docs.{more}"
    if first["type"] == "missing":
        return f"{source} needs `{place}`, but does not have it.{more}"
    message = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"].lower()
    return f"{source}, `{place}`: {message} (found {_shown(first['input'])}).{more}"


def _keys(path: list[str]) -> list[str]:
    model: Any = StudyConfig
    for part in path:
        model = model.model_fields[part].annotation
    return list(model.model_fields)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
