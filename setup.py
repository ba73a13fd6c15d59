"""Installs the package `gen`; the exact versions it is tested with are in constraints.txt."""

from setuptools import find_packages, setup

DOCS = ["latex2mathml>=3.78", "mkdocs-material>=9.7", "mkdocstrings[python]>=1.0"]
EXPLORE = ["nicegui>=3.0"]
OPTUNA = ["optuna>=5.0"]
SLURM = ["submitit>=1.5"]

setup(
    name="gen",
    version="0.1.0",
    description="Generative adversarial networks and variational autoencoders in JAX, for research and teaching.",
    license="Apache-2.0",
    packages=find_packages(include=["gen", "gen.*"]),
    package_data={"gen.figures": ["assets/*"]},
    python_requires=">=3.11",
    install_requires=[
        "absl-py>=2.1",
        "array_record>=0.8",
        "flax>=0.12",
        "grain>=0.2.10",
        "jax>=0.10",
        "jaxtyping>=0.3",
        "matplotlib>=3.9",
        "ml-collections>=1.0",
        "numpy>=2.0",
        "optax>=0.2.5",
        "orbax-checkpoint>=0.12",
        "pillow>=10",
        "scikit-learn>=1.5",
        "scipy>=1.13",
        "tensorboardX>=2.6",
        "tensorflow-datasets>=4.9.9",
        "tqdm>=4.66",
    ],
    extras_require={
        "docs": DOCS,
        "explore": EXPLORE,
        "optuna": OPTUNA,
        "slurm": SLURM,
        "test": [
            *DOCS,
            *EXPLORE,
            *OPTUNA,
            *SLURM,
            "beartype>=0.19",
            "hypothesis>=6.100",
            "numpyro>=0.18",
            "prdc>=0.2",
            "pytest>=8",
            "pytest-xdist>=3.6",
            "ruff>=0.8",
            "selenium>=4.20",
        ],
    },
)
