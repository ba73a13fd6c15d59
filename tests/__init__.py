"""A package, so that it comes before the `tests` that other packages install."""
