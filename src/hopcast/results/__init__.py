"""The results of a study as typed records: what stages return, reports show, and `results.json` holds.

A `Record` is made in one place from the nouns of the earlier packages, and never read by a string key. Two rules hold
everywhere:

- *A number is finite or null, and a null says why.* A field that is None has its reason in `Record.reasons`; in JSON the
  sibling ``<key>_reason``. The JSON Schema is made from the records (`results_schema`).
- *No number stands alone.* A score stands beside the mean, interpolation in time from the same training frames,
  the same model on features of another time, and held-out blocks; raw mutual information beside that of shifted
  features; a rate beside the ab initio one, with an interval whose parts are told apart.

`with_verdicts` adds what the numbers allow to be said (rules: `hopcast.evaluation.verdicts`), `claims` tests the published
ones, `gate` says why a strict run must fail.
"""

from hopcast.results.claims import claims
from hopcast.results.record import EstimateRecord, Record, estimate
from hopcast.results.schema import results_schema, to_json, validate_results
from hopcast.results.study import SCHEMA_VERSION, StudyResults
from hopcast.results.summary import gate, with_verdicts

__all__ = [
    "SCHEMA_VERSION",
    "EstimateRecord",
    "Record",
    "StudyResults",
    "claims",
    "estimate",
    "gate",
    "results_schema",
    "to_json",
    "validate_results",
    "with_verdicts",
]
