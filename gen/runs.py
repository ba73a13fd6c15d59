"""What one does with a trained run: read it back, sample, encode, decode, call the family's methods."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8
from ml_collections import ConfigDict

from gen.config.messages import quoted
from gen.data import RANGES, Spec, decoder
from gen.distributions import Normal
from gen.errors import UserError, nearest
from gen.evaluation.checks import at_least
from gen.families import TrainState
from gen.figures.latents import interpolation_latents
from gen.storage import checkpoints, exchange, hub, record, shipped
from gen.training.program import Program, abstract_state, drawn, earlier_state, make

Examples = Float[Array | np.ndarray, "b ..."] | UInt8[Array | np.ndarray, "b ..."]
Label = int | str | Int[Array | np.ndarray, "labels"] | None


def conditional(config: ConfigDict) -> bool:
    """Whether the run's model was trained on labels."""
    return bool(config.get("conditional", False)) or "conditioning" in config


def seed_key(seed: int) -> PRNGKeyArray:
    """The key of a seed. Raises a UserError for one that would be taken modulo 2**32, as another seed's."""
    if not 0 <= seed < 2**32:
        raise UserError(f"seed={seed}: a seed is at least 0 and below 2**32.")
    return jax.random.key(seed)


def _of_shape(x: Examples, shape: tuple[int, ...], what: str) -> None:
    """Raises a UserError for arrays of another shape than [n *shape]."""
    if np.ndim(x) == 0 or np.shape(x)[1:] != tuple(shape):
        raise UserError(f"{what} of shape {np.shape(x)}: this model has ({', '.join(map(str, ('n', *shape)))}).")


@dataclass(frozen=True)
class Run:
    """A trained model: the state of a checkpoint and the functions of its family, on numpy arrays in data units.

    Attributes:
      workdir, config, spec, program: of the run.
      state: the checkpoint's TrainState.
      step: the checkpoint's step.
    """

    workdir: Path
    config: ConfigDict
    spec: Spec
    program: Program
    state: TrainState
    step: int

    def sample(self, n: int, seed: int = 0, label: int | str | None = None, truncation: float | None = None
               ) -> Float[np.ndarray, "n ..."]:
        """Draws n samples, of a conditional model all of `label` where it is given.

        `truncation`, of a GAN, gives up variety: it draws StyleGAN2's styles to their mean (1 leaves them as they are),
        and bounds the latents of other generators.

        Raises:
          UserError: the model is not conditional, or has no such label; it is no GAN, or the truncation not above 0.
        """
        return np.concatenate(list(self.batches(n, seed, label, truncation=truncation)))

    def batches(self, n: int, seed: int = 0, label: int | str | None = None, first: int = 0,
                truncation: float | None = None) -> Iterator[Float[np.ndarray, "_ ..."]]:
        """The same samples from number `first` on, a batch at a time, each when it is asked for."""
        program, n = self.program, at_least(1, n, "The number of samples")
        if label is not None or truncation is not None:
            program = program._replace(sample=self._sampler(label, truncation))
        return drawn(program, self.state, seed_key(seed), n, first=first)

    def _sampler(self, label: int | str | None, truncation: float | None) -> Callable[..., Array]:
        def labelled(n: int) -> dict[str, Array]:
            return {} if label is None else {"label": self._labels(label, n)}

        if truncation is None:
            return lambda state, key, n: self.program.sample(state, key, n, **labelled(n))
        truncated = jax.jit(self._truncating("truncated", truncation), static_argnums=2)
        return lambda state, key, n: truncated(state, key, n, truncation, **labelled(n))

    def _truncating(self, method: str, truncation: float) -> Callable[..., Array]:
        """A method of models that can be truncated."""
        if "truncated" not in self.program.family.methods:
            raise UserError(f"A {self.config.family} has no truncation: leave it out.")
        if not truncation > 0:
            raise UserError(f"truncation={truncation:g}: it must be above 0.")
        return self.program.family.methods[method]

    def _condition(self, label: Label, n: int) -> tuple[Int[Array, "n"], ...]:
        return () if label is None else (self._labels(label, n),)

    def _labels(self, label: Label, n: int) -> Int[Array, "n"]:
        if not conditional(self.config):
            raise UserError(f"This {self.config.family} was trained without labels: there is no label to choose.")
        if isinstance(label, str):
            label = self._named(label)
        if np.shape(label) not in ((), (n,)):
            raise UserError(f"Labels of shape {np.shape(label)}: give one, or one for each of the {n} examples.")
        for unknown in set(np.ravel(label).tolist()) - set(range(max(self.spec.classes, 1))):
            raise UserError(f"There is no label {unknown}: the data set has {self.spec.classes} labels from 0 on.")
        return jnp.broadcast_to(jnp.asarray(label, jnp.int32), (n,))

    def _named(self, label: str) -> int:
        """The label of this class name, or else of this number."""
        if label in self.spec.class_names:
            return self.spec.class_names.index(label)
        if label.isdecimal():
            return int(label)
        raise UserError(f"There is no class {quoted(label)!r}.{nearest(label, self.spec.class_names)}"
                        if self.spec.class_names else f"label={quoted(label)}: the classes of this run have no names; "
                        "give a number.")

    def _shown(self, x: Examples) -> Float[Array, "b ..."]:
        """Examples in data units; pixels of 8 bits are decoded into them. A UserError for other numbers or shapes."""
        _of_shape(x, self.spec.shape, "Examples")
        if np.asarray(x).dtype == np.uint8 and self.spec.range in RANGES:
            low = RANGES[self.spec.range]
            return low + (1 - low) * jnp.asarray(x, jnp.float32) / 255
        if not np.issubdtype(np.asarray(x).dtype, np.floating):
            raise UserError(f"Examples of type {np.asarray(x).dtype}: give float32 in data units"
                            f"{', or pixels as uint8' if self.spec.range in RANGES else ''}.")
        return jnp.asarray(x)

    def _latents(self, z: Examples) -> Examples:
        """Returns `z`. A UserError for latents of another shape than the model's."""
        if "latents" not in (methods := self.program.family.methods):
            return z
        one = jax.jit(methods["latents"], static_argnums=2).eval_shape(self.state, jax.random.key(0), 1)  # traced once
        _of_shape(z, one.shape[1:], "Latents")
        return z

    def encode(self, x: Examples, label: Label = None) -> Normal:
        """The posterior q(z|x) of a VAE; a conditional one needs the examples' labels, or the one of all."""
        return self.method("encode", self._shown(x), *self._condition(label, len(x)))

    def decode(self, z: Examples, label: Label = None) -> Float[np.ndarray, "b ..."]:
        """The examples of latents: E[x|z] of a VAE, G(z) of a GAN; labels as in `encode`."""
        return np.asarray(self.method("decode", self._latents(z), *self._condition(label, len(z))))

    def reconstruct(self, x: Examples, label: Label = None) -> Float[np.ndarray, "b ..."]:
        """A VAE's E[x|z] at the centre of q(z|x); labels as in `encode`."""
        return np.asarray(self.method("reconstruct", self._shown(x), *self._condition(label, len(x))))

    def interpolate(self, n: int, steps: int, seed: int = 0, label: int | str | None = None,
                    truncation: float | None = None) -> Float[np.ndarray, "n_steps ..."]:
        """Decodes n paths between latents, `steps` examples each, on great circles (`figures.latents.slerp`).

        A pair of latents is drawn for each path; path i is rows i * steps to (i + 1) * steps. Without a `label`, path i
        of a conditional model has label i, and begins again with 0 after the last one. `truncation` as in `sample`: of
        the styles, or of the latents at both ends.

        Raises:
          UserError: the family has no latents to decode, the model is not conditional, or has no such label.
        """
        n, steps = at_least(1, n, "The number of paths"), at_least(2, steps, "The number of examples of a path")
        methods, bound = self.program.family.methods, ()
        if not {"latents", "decode"} <= methods.keys():
            raise UserError(f"A {self.config.family} has no latents between which one could interpolate.")
        if label is None and conditional(self.config):
            label = np.repeat(np.arange(n) % self.spec.classes, steps)
        draw, styled = methods["latents"], "mix" in methods
        if truncation is not None:
            draw, bound = self._truncating("latents", truncation), () if styled else (truncation,)
        a, b = jnp.split(draw(self.state, seed_key(seed), 2 * n, *bound), 2)
        z = interpolation_latents(a, b, steps)
        if truncation is None or not styled:
            return self.decode(z, label)
        return np.asarray(self.method("decode", z, *self._condition(label, len(z)), truncation=truncation))

    def method(self, name: str, *args, **options):
        """Calls one of the family's methods on the run's state; raises a UserError if it has none of that name.

        The call is compiled for its whole numbers, as the number of samples in `run.method("latents", key, 64)`.
        """
        methods = self.program.family.methods
        if name not in methods:
            raise UserError(f"A {self.config.family} has no method {name!r}. There are: {', '.join(sorted(methods))}.")
        whole = [i for i, value in enumerate(args, start=1) if isinstance(value, int | np.integer)]
        named = [key for key, value in options.items() if isinstance(value, int | np.integer)]
        return jax.jit(methods[name], static_argnums=whole, static_argnames=named)(self.state, *args, **options)

    def decoded(self, raw: dict[str, np.ndarray]) -> dict[str, Array]:
        """Raw examples of the data set as the model sees them."""
        return decoder(self.config.data)(jax.device_put(raw), jax.random.key(0))


def load(workdir: Path | str, step: int | Literal["best"] | None = None) -> Run:
    """Reads a run back: its newest checkpoint, that of `step`, or the best one; or an exported model.

    Keys of the config that came after the run have their defaults. `workdir` may be "hf://owner/name[@revision]", an
    exported model on the Hugging Face Hub, or the name of a model that comes with the package (`storage.shipped`).

    Raises:
      UserError: there is no run, or no such checkpoint, in the folder; the tensors of an exported model are not those
        of its config.
    """
    workdir = hub.download(str(workdir)) if hub.is_address(str(workdir)) else shipped.located(str(workdir))
    description = record.read(workdir)
    config = record.config_of(workdir, description)
    spec = record.spec_of(workdir, description)
    program = make(config, spec)
    if exchange.exported(workdir):
        state = exchange.restore(workdir, abstract_state(program, spec))
        if step not in (None, "best", int(state.step)):
            raise UserError(f"{workdir} is an exported model of step {int(state.step)} alone.")
        return Run(workdir, config, spec, program, state, int(state.step))
    restored = checkpoints.restore(
        workdir / "checkpoints", abstract_state(program, spec), step, earlier_state(program, config, spec))
    return Run(workdir, config, spec, program, restored.state, restored.step)
