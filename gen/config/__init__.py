"""Experiment configs: reading, overriding, resolving and naming them; the algebra of sweeps.

An experiment is a Python file with `get_config(variant: str = "") -> ConfigDict`. `load` calls it, `resolve` applies
the overrides of the command line and fills in every default, so that the resolved config is complete plain data:
None, bool, int, float, str and tuples of these. Whatever is wrong ends in a `UserError` of one line.
"""

from gen.config.checks import check_train
from gen.config.command_line import parse_argv, run_folder, run_name
from gen.config.experiments import experiment_name, load, load_sweep, module, split_spec, variant
from gen.config.parts import Part, Schema, known_fields, make, resolve
from gen.config.sweeps import chainit, fixed, product, sweep, zipit
from gen.config.trees import diff, flatten, from_json, to_json, unflatten
from gen.config.values import Overrides, field_of

__all__ = [
    "Overrides",
    "Part",
    "Schema",
    "chainit",
    "check_train",
    "diff",
    "experiment_name",
    "field_of",
    "fixed",
    "flatten",
    "from_json",
    "known_fields",
    "load",
    "load_sweep",
    "make",
    "module",
    "parse_argv",
    "product",
    "resolve",
    "run_folder",
    "run_name",
    "split_spec",
    "sweep",
    "to_json",
    "unflatten",
    "variant",
    "zipit",
]
