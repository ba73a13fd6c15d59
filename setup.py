"""Which files an installation has: the package, and the experiments and scripts beside it; all else: pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["gen", "gen.*"]), "gen.experiments", "gen.scripts"],
    package_dir={"gen": "gen", "gen.experiments": "experiments", "gen.scripts": "scripts"},
    package_data={"gen": ["models/*/*"], "gen.data": ["assets/*"], "gen.figures": ["assets/*"],
                  "gen.lecture": ["assets/*"], "gen.networks": ["*.cc"], "gen.experiments": ["*/*.py"],
                  "gen.scripts": ["*.py"]},
)
