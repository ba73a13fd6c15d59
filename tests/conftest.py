"""Test-time shape checks: every annotated function of `gen` is checked by jaxtyping and beartype when it is called."""

from jaxtyping import install_import_hook

install_import_hook("gen", "beartype.beartype")
