"""What Sphinx is told beside its settings: formulas as MathML, docstrings as they are written, pages that are made."""
