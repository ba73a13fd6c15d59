"""The game of a GAN: what each player minimises, what the discriminator is shown, and how the players move."""

import inspect
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree
from ml_collections import ConfigDict

from gen import optimizers
from gen.augment import augmented
from gen.families import common
from gen.families.gan import adaptive, rotations
from gen.families.gan.players import Judgement, Players
from gen.families.types import Metrics, TrainState
from gen.networks.blocks import Condition
from gen.objectives.adversarial import ADVERSARIAL, AdversarialLoss, mean_of_best
from gen.objectives.penalties import PENALTIES, SIDES, Averages
from gen.rng import stream

Examples = Float[Array, "n ..."]
Scalar = Float[Array, ""]

NEGLIGIBLE = 1e-15
"""Gradients below it count as this constant in unrolled steps: the root in Adam has no derivative at 0."""


AVERAGES = "logits"
"""Of the state's variables: moving averages of the discriminator's logits."""


class Hand(NamedTuple):
    """One batch of the game, as many real as fake examples.

    Attributes:
      real, fake: in data units.
      condition: one-hot labels of both, None in an unconditional game.
      codes: InfoGAN's codes of the fake examples, perhaps of width 0.
    """

    real: Examples
    fake: Examples
    condition: Condition
    codes: Float[Array, "n c"]


class Game(NamedTuple):
    """The rules, from the config, and the players. All methods are pure functions."""

    config: ConfigDict
    players: Players

    @property
    def parts(self) -> tuple[int, int]:
        """Parts of a batch that are processed one after the other, and the examples that stay together."""
        return self.config.train.microbatches, self.players.packing

    def loss(self, state: TrainState) -> AdversarialLoss:
        """The adversarial loss with its options."""
        return ADVERSARIAL[self.config.loss.name](**common.options(self.config.loss, "loss", state.hypers))

    def show(self, state: TrainState, x: Examples, key: PRNGKeyArray) -> Float[Array, "b ..."]:
        """What the discriminator sees of examples: augmented, with instance noise, packed.

        Instance noise is N(0, std^2) on real and fake alike (Sonderby et al. 2017; Arjovsky & Bottou 2017, section 3).
        """
        options = {name: common.options(part, f"augment.{name}", state.hypers)
                   for name, part in self.config.augment.items()}
        x = augmented(x, key, options, self.players.generator.range, adaptive.probability(self.config, state))
        if self.config.instance_noise:
            x += state.hypers["instance_noise"] * jax.random.normal(stream(key, "instance noise"), x.shape)
        return self.players.pack(x)

    def show_both(self, state: TrainState, hand: Hand, key: PRNGKeyArray) -> Hand:
        """The hand with what the discriminator sees of its examples; conditions are as they were, not packed."""
        return hand._replace(real=self.show(state, hand.real, stream(key, "real")),
                             fake=self.show(state, hand.fake, stream(key, "fake")))

    def penalty(self, name: str, state: TrainState, params: PyTree, hand: Hand, key: PRNGKeyArray) -> Scalar:
        """The mean of a penalty; every `every` steps and then times `every`, if it is lazy (Karras et al. 2020, B).

        One of `SIDES` is differentiated by the examples of the hand, through what the discriminator is shown of them;
        the others are at points between or around what it is shown. `key` is that of the step, so that what is shown
        is what the loss is of.
        """
        part = self.config.penalties[name]
        options = common.options(part, f"penalties.{name}", state.hypers) | self.followed(name, state)
        every = options.pop("every")
        del options["weight"]
        condition = self.players.pack(hand.condition)
        own_key = stream(stream(key, "penalties"), name)

        def logits(packs):
            return self.players.judge(params, state.variables["discriminator"], packs, condition)[0].logits

        def of_examples(groups):
            show_key = stream(stream(key, "show"), SIDES[name])
            return logits(self.show(state, groups.reshape(-1, *groups.shape[2:]), show_key))

        def mean():
            if name in SIDES:
                groups = (x.reshape(-1, self.players.packing, *x.shape[1:]) for x in (hand.real, hand.fake))
                value = PENALTIES[name](of_examples, *groups, own_key, **options)
            else:
                shown = self.show_both(state, hand, stream(key, "show"))
                value = PENALTIES[name](logits, shown.real, shown.fake, own_key, **options)
            return every * value.mean()

        return mean() if every == 1 else jax.lax.cond(state.step % every == 0, mean, lambda: jnp.zeros(()))

    def followed(self, name: str, state: TrainState) -> dict:
        """What a penalty is given of the state beside its options."""
        given = {"step": state.step, "averages": state.variables.get(AVERAGES)}
        return {key: given[key] for key in inspect.signature(PENALTIES[name]).parameters if key in given}

    def recovery(self, state: TrainState, judged: Sequence[Judgement], hand: Hand) -> tuple[Scalar, Metrics]:
        """What both players minimise beside the adversarial loss, and its terms in nats.

        `class_loss`: cross-entropy of the labels over all `judged` (Odena et al. 2017, eq. 3). `code_loss`: that of the
        codes of fake examples, the last of `judged` (Chen et al. 2016, eq. 5, up to the entropy of the codes).
        """
        value, terms = jnp.zeros(()), {}
        if self.players.discriminator.conditioning == "auxiliary":
            cross_entropies = [-(jax.nn.log_softmax(j.classes) * hand.condition).sum(-1).mean() for j in judged]
            terms["class_loss"] = sum(cross_entropies)
            value += state.hypers["conditioning.weight"] * terms["class_loss"]
        if self.players.codes.width:
            terms["code_loss"] = self.players.codes.negative_log_likelihood(judged[-1].codes, hand.codes).mean()
            value += state.hypers["codes.weight"] * terms["code_loss"]
        return value, terms

    def discriminator_value(self, params: PyTree, state: TrainState, hand: Hand, key: PRNGKeyArray):
        """What the discriminator minimises on a hand. Returns (value, (metrics, variables after it))."""
        loss, shown = self.loss(state), self.show_both(state, hand, stream(key, "show"))
        real, fake, variables = self.players.judge_both(
            params, state.variables["discriminator"], shown.real, shown.fake, self.players.pack(shown.condition))
        value = loss.discriminator(real.logits, fake.logits).mean()
        extra, terms = self.recovery(state, (real, fake), shown)
        metrics = {"discriminator_loss": value} | terms | means(verdict(loss, real.logits, fake.logits))
        if self.config.rotation.real:
            metrics["rotation_loss"], variables = self.rotation(params, variables, shown, shown.real)
            value += state.hypers["rotation.real"] * metrics["rotation_loss"]
        if self.config.ada.target:
            metrics["real_sign"] = jnp.sign(real.logits - loss.threshold(real.logits, fake.logits)).mean()
        value += extra
        for name in self.config.penalties:
            metrics[name] = self.penalty(name, state, params, hand, key)
            value += state.hypers[f"penalties.{name}.weight"] * metrics[name]
        return value, (metrics, variables)

    def rotation(self, params: PyTree, variables: PyTree, shown: Hand, x: Float[Array, "b ..."]
                 ) -> tuple[Scalar, PyTree]:
        """The cross-entropy in nats of the quarter turns of images, and the discriminator's variables after it."""
        images, turns = rotations.turned(x)
        judged, variables = self.players.judge(params, variables, images, self.players.pack(shown.condition))
        return rotations.cross_entropy(judged.turns, turns), variables

    def answer(self, state: TrainState, hand: Hand, key: PRNGKeyArray) -> tuple[Examples, Metrics]:
        """The gradient of what the generator minimises by its examples, and metrics."""
        def part(hand: Hand, key: PRNGKeyArray):
            return jax.grad(self.generator_value, has_aux=True)(hand.fake, state, hand, key)[::-1]

        terms, gradient = common.in_parts(part, *self.parts)(hand, key)
        return gradient / self.parts[0], terms

    def generator_value(self, fake: Examples, state: TrainState, hand: Hand, key: PRNGKeyArray):
        """What the generator minimises, as a function of its examples. Returns (value, metrics)."""
        hand = hand._replace(fake=fake)
        shown, params = self.show_both(state, hand, stream(key, "show")), self.unroll(state, hand, key)
        real, fake, _ = self.players.judge_both(
            params, state.variables["discriminator"], shown.real, shown.fake, self.players.pack(shown.condition))
        values = self.loss(state).generator(real.logits, fake.logits)
        best = self.config.generator_best
        value = mean_of_best(values, fake.logits, state.hypers["generator_best"]) if best else values.mean()
        extra, _ = self.recovery(state, (fake,), shown)
        if self.config.rotation.fake:
            of_turns, _ = self.rotation(params, state.variables["discriminator"], shown, shown.fake)
            extra += state.hypers["rotation.fake"] * of_turns
        return value + extra, {"generator_loss": value}

    def move(self, player: str, state: TrainState, params: PyTree, opt_state: PyTree, grads: PyTree):
        """One optimizer step of a player from `params`. Returns (params, opt_state, metrics)."""
        params, opt_state, limited = optimizers.move(
            self.config, f"{player}_optimizer", state.hypers, grads, opt_state, params)
        if player == "discriminator" and self.config.weight_clip:
            bound = state.hypers["weight_clip"]
            params = jax.tree.map(lambda p: jnp.clip(p, -bound, bound), params)
        return params, opt_state, {f"{player}_{name}": value for name, value in limited.items()}

    def moved(self, player: str, state: TrainState, grads: PyTree) -> tuple[TrainState, Metrics]:
        """The state after one optimizer step of a player, and metrics."""
        params, opt_state, limited = self.move(player, state, state.params[player], state.opt_state[player], grads)
        return state.replace(params=state.params | {player: params},
                             opt_state=state.opt_state | {player: opt_state}), limited

    def unroll(self, state: TrainState, hand: Hand, key: PRNGKeyArray) -> PyTree:
        """The discriminator's parameters after `unrolled_steps` more steps on the same hand (Metz et al. 2017, eq. 7).

        It is shown the same each time. A differentiable function of the fake examples, optimizer included. Of
        microbatches each has its own.
        """
        def step(carry, _):
            params, opt_state = carry
            grads, _ = jax.grad(self.discriminator_value, has_aux=True)(params, state, hand, key)
            grads = jax.tree.map(lambda g: jnp.where(jnp.abs(g) < NEGLIGIBLE, NEGLIGIBLE, g), grads)
            return self.move("discriminator", state, params, opt_state, grads)[:2], None

        start = state.params["discriminator"], state.opt_state["discriminator"]
        if not self.config.unrolled_steps:
            return start[0]
        return jax.lax.scan(step, start, length=self.config.unrolled_steps)[0][0]

    def discriminator_step(self, state: TrainState, hand: Hand, key: PRNGKeyArray) -> tuple[TrainState, Metrics]:
        """The discriminator's move on one hand."""
        def loss(params: PyTree, hand: Hand, key: PRNGKeyArray):
            value, means = self.discriminator_value(params, state, hand, key)
            return value, (means, ())

        (_, ((metrics, variables), _)), grads = common.value_and_grad(loss, *self.parts)(
            state.params["discriminator"], hand, key)
        metrics["discriminator_gradient_norm"] = optimizers.norm(grads)
        adapted = self.loss(state).adapted(metrics["real_logits"], metrics["fake_logits"])
        state, limited = self.moved("discriminator", state, grads)
        held = adaptive.noted(self.config, state, metrics) | self.averaged(state, metrics)
        before = state.variables, state.hypers
        after = (state.variables | {"discriminator": variables} | held,
                 state.hypers | {f"loss.{name}": value for name, value in adapted.items()})
        variables, hypers = optimizers.unless(limited.get("discriminator_skipped_updates"), after, before)
        return state.replace(variables=variables, hypers=hypers), metrics | adapted | limited

    def averaged(self, state: TrainState, metrics: Metrics) -> dict:
        """The variables with the averages of the logits after a step, where LeCam's penalty asks for them."""
        if AVERAGES not in state.variables:
            return {}
        options = common.options(self.config.penalties.lecam, "penalties.lecam", state.hypers)
        return {AVERAGES: state.variables[AVERAGES].moved(
            metrics["real_logits"], metrics["fake_logits"], state.step, options["decay"], options["start"])}


def followed_at_first(config: ConfigDict) -> dict:
    """The variables that penalties and the adaptive augmentation keep, before the first step."""
    averages = {AVERAGES: Averages(jnp.zeros(()), jnp.zeros(()))} if "lecam" in config.penalties else {}
    return averages | adaptive.initial(config)


def verdict(loss: AdversarialLoss, real_logits: Float[Array, "b"], fake_logits: Float[Array, "b"]
            ) -> dict[str, Float[Array, "b"]]:
    """Logits of each example, and whether the discriminator calls it what it is."""
    threshold = loss.threshold(real_logits, fake_logits)
    return {"real_logits": real_logits, "real_accuracy": jnp.float32(real_logits > threshold),
            "fake_logits": fake_logits, "fake_accuracy": jnp.float32(fake_logits < threshold)}


def means(metrics: Metrics) -> Metrics:
    """Means over the batch."""
    return {name: values.mean() for name, values in metrics.items()}


def diversity(real: Examples, fake: Float[Array, "m ..."]) -> Scalar:
    """Root mean squared distance between two fake examples, in that between two real ones: 1 where the spread is right.

    The mean squared distance is twice the sum of the variances, so that it costs no pairs.
    """
    return jnp.sqrt((fake.var(0).sum() + 1e-12) / (real.var(0).sum() + 1e-12))
