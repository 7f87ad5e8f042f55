"""`Record`: what a part of `results.json` is made of. Numbers are finite, or null with a reason beside them."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from hopcast.evaluation.verdicts import Label, Verdict

NULL: Final = "may be null, with a reason"
"""Marks a field whose missing value says why: ``x`` null, ``x_reason`` a sentence."""

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]
Several = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]

Number = Annotated[float | None, NULL]
Size = Annotated[NotNegative | None, NULL]
Share = Annotated[Fraction | None, NULL]
Correlation = Annotated[Annotated[float, Field(ge=-1, le=1)] | None, NULL]
R2 = Annotated[Annotated[float, Field(le=1)] | None, NULL]
Rank = Annotated[Count | None, NULL]

Target = Literal["gap", "nac"]
Split = Literal["interleaved", "blocked", "trajectory"]


class Record(BaseModel):
    """A part of `results.json`; values do not change, more keys than those named are kept.

    Fields marked `NULL` are given as None, or as a number that is not finite, where they could not be had; `reasons` says
    why. In JSON a reason is the sibling ``<key>_reason``. What is None without being such a field is absent there.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False, populate_by_name=True)

    reasons: dict[str, str] = Field(default_factory=dict, repr=False)

    @classmethod
    def missing(cls, reason: str, **given: Any) -> Self:
        """Return a record none of whose numbers could be had."""
        names = [name for name in nullable(cls) if name not in given]
        return cls(**dict.fromkeys(names), **given, reasons=dict.fromkeys(names, reason))

    @model_validator(mode="before")
    @classmethod
    def _reasoned(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        values = dict(given)
        reasons = dict(values.pop("reasons", {}))
        for name in nullable(cls):
            reason = values.pop(f"{name}_reason", None) or reasons.pop(name, None)
            if name not in values:
                continue
            value = values[name]
            if value is None or (isinstance(value, float) and not math.isfinite(value)):
                values[name] = None
                default = "not computed" if value is None else f"the result was {value}"
                reasons[name] = reason or default
        values["reasons"] = {key: reason for key, reason in reasons.items() if values.get(key, 0) is None}
        return values

    @model_serializer(mode="wrap")
    def _flat(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found = handler(self)
        reasons = found.pop("reasons")
        out: dict[str, Any] = {}
        for key, value in found.items():
            if value is not None or key in reasons or key in (self.model_extra or {}):
                out[key] = value
            if key in reasons:
                out[f"{key}_reason"] = reasons[key]
        return out

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> Any:
        """Return the schema as the JSON is: a null and its reason together, absent where a field is left out."""
        found = handler(core_schema)
        schema = handler.resolve_ref_schema(found)
        properties = schema["properties"]
        properties.pop("reasons", None)
        rules = []
        for name, value in list(properties.items()):
            value.pop("title", None)
            value.pop("default", None)
            options = [one for one in value.get("anyOf", ()) if one != {"type": "null"}]
            if name in nullable(cls):
                said = {"type": "string", "minLength": 1, "description": f"Why `{name}` is null."}
                properties[f"{name}_reason"] = said
                condition = {"properties": {name: {"type": "null"}}, "required": [name]}
                rules.append({"if": condition, "then": {"required": [f"{name}_reason"]}})
            elif len(options) == 1:  # left out, not null
                del value["anyOf"]
                value.update(options[0])
        if rules:
            schema["allOf"] = rules
        return found


@lru_cache(maxsize=128)
def nullable(cls: type[BaseModel]) -> tuple[str, ...]:
    """Return the names of the fields that may be null with a reason."""
    return tuple(name for name, field in cls.model_fields.items() if NULL in field.metadata)


class Judged(Record):
    """A record with a verdict, once there is one."""

    verdict: Verdict | None = None

    @property
    def label(self) -> Label | None:
        """Label of its verdict."""
        return None if self.verdict is None else self.verdict.label

    @property
    def sentence(self) -> str:
        """Sentence of its verdict."""
        return "" if self.verdict is None else self.verdict.sentence


class Stride(Record):
    """A distance in time, rounded to whole frames."""

    fs: Positive = Field(description="As used, fs.")
    frames: Several = Field(description="As used, frames.")
    requested_fs: Positive | None = Field(None, description="As asked for, fs.")


PARTS: Final = ("finite_trajectory", "model", "initial_time", "monte_carlo")
"""The four parts of an interval, in the order of METHODS: half-widths in the unit of the estimate."""


class Parts(Record):
    """Half-widths of the four parts of an interval, in the unit of the estimate."""

    finite_trajectory: Size = Field(description="The trajectory is finite.")
    model: Size = Field(description="The forecast is uncertain.")
    initial_time: Size = Field(description="Initial times are a sample.")
    monte_carlo: Size = Field(description="Trajectories are a sample.")


class EstimateRecord(Record):
    """A number with its interval."""

    value: Number = Field(description="Best value.")
    low: Number = Field(description="Lower end of the interval.")
    high: Number = Field(description="Upper end of the interval.")
    unit: Text = Field(description="Unit; `1` for a pure number.")
    level: Annotated[float, Field(gt=0, lt=1)] = Field(0.95, description="Level of the interval.")
    parts: Parts
    note: str = Field("", description="What a reader has to know; may be empty.")


def estimate(
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    *,
    unit: str,
    parts: dict[str, float | None] | None = None,
    reasons: dict[str, str] | None = None,
    note: str = "",
    level: float = 0.95,
) -> EstimateRecord:
    """Return the record of a number with its interval and the four parts of it.

    Parameters
    ----------
    value, low, high
        Best value and ends of the interval, in `unit`; None or not finite becomes null with a reason.
    unit
        Of all of them; "1" for a pure number.
    parts
        Half-widths by name (`PARTS`); missing ones become null with a reason.
    reasons
        Why something is null: by ``"value"``, ``"low"``, ``"high"`` (``"interval"`` for both) or a part's name.
    note
        What a reader has to know, e.g. ``"interval at least this wide: trajectory too short"``.
    level
        Level of the interval.

    Examples
    --------
    >>> estimate(2.0, 1.5, 2.5, unit="ns", parts={"finite_trajectory": 0.5}).parts.finite_trajectory
    0.5
    """
    why = dict(reasons or {})
    interval = why.pop("interval", "no interval was computed")
    given = {name: (parts or {}).get(name) for name in PARTS}
    said = {name: why.get(name, "not part of this estimate") for name in PARTS}
    ends = {end: why.get(end, interval) for end in ("low", "high")}
    values = {"value": why["value"]} if "value" in why else {}
    return EstimateRecord(
        value=value,
        low=low,
        high=high,
        unit=unit,
        level=level,
        note=note,
        parts=Parts(**given, reasons=said),
        reasons=ends | values,
    )


def known(value: float | None) -> float:
    """Return a number that was had; a bug where it was not."""
    assert value is not None
    return value
