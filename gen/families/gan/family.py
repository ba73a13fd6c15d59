"""Generative adversarial networks (Goodfellow et al. 2014): a generator, a discriminator, a loss, penalties.

One `update` is the algorithm box of the paper: `critic_steps` steps of the discriminator, then one of the
generator. The last fake batch serves both players, so that the generator runs forward once.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray
from ml_collections import ConfigDict

from gen import optimizers
from gen.augment import AUGMENTATIONS
from gen.config import Part, field_of, flatten
from gen.config.ranges import Count, Decay, Natural, NonNegative, Probability
from gen.data import Spec
from gen.errors import UserError
from gen.families import common
from gen.families.gan import adaptive, path_length, sampling
from gen.families.gan.game import Game, Hand, diversity, followed_at_first, verdict
from gen.families.gan.labels import CONDITIONINGS
from gen.families.gan.players import Players, build
from gen.families.gan.sampling import Sampler
from gen.families.types import Batch, Family, Metrics, TrainState
from gen.networks import DECODERS, ENCODERS
from gen.objectives.adversarial import ADVERSARIAL, non_saturating_generator, saturating
from gen.objectives.penalties import PENALTIES
from gen.rng import stream

NETWORK = frozenset({"shape", "dtype"})
PENALTY = frozenset({"discriminate", "real", "fake", "key", "averages", "step"})
PLAYERS = ("generator", "discriminator")

SCHEMA = {
    "": {
        "latents": Count, "latent_distribution": "normal", "packing": field_of(Count, 1),
        "critic_steps": field_of(Count, 1), "simultaneous": False, "unrolled_steps": field_of(Natural, 0),
        "joint_batches": False, "joint_packs": True, "minibatch_stddev": field_of(Natural, 0),
        "discriminator_bias": True, "generator_statistics": "averaged",
        "weight_clip": field_of(NonNegative[float], 0.0), "instance_noise": field_of(NonNegative[float], 0.0),
        "generator_batches": field_of(Count, 1), "fresh_latents": False,
        "generator_best": field_of(Probability[float], 0.0), "label_embedding": field_of(Natural, 0),
        "augment_probability": field_of(Probability[float], 1.0), "bounded": True,
    },
    "generator": Part(DECODERS, "generator", supplied=NETWORK),
    "discriminator": Part(ENCODERS, "discriminator", supplied=NETWORK),
    "reconstruction": Part(DECODERS, "reconstruction", supplied=NETWORK, optional=True),
    "loss": Part(ADVERSARIAL, "adversarial loss"),
    "penalties": Part(PENALTIES, "penalty", supplied=PENALTY, many=True,
                      common={"weight": field_of(NonNegative[float], 1.0), "every": field_of(Count, 1)}),
    "augment": Part(AUGMENTATIONS, "augmentation", supplied=frozenset({"x", "key", "probability"}), many=True),
    "ada": {"target": field_of(Probability[float], 0.0), "initial": field_of(Probability[float], 0.0),
            "images": field_of(Count, 500_000), "every": field_of(Count, 4)},
    "rotation": {"real": field_of(NonNegative[float], 0.0), "fake": field_of(NonNegative[float], 0.0)},
    "path_length": {"weight": field_of(NonNegative[float], 0.0), "decay": field_of(Decay[float], 0.99),
                    "every": field_of(Count, 4), "shrink": field_of(Count, 2)},
    "conditioning": Part(CONDITIONINGS, "conditioning", optional=True),
    "codes": {"categorical": field_of(tuple[Count, ...], ()), "continuous": field_of(Natural, 0),
              "weight": field_of(NonNegative[float], 1.0)},
    "generator_optimizer": Part(optimizers.OPTIMIZERS, "optimizer", common=optimizers.COMMON),
    "discriminator_optimizer": Part(optimizers.OPTIMIZERS, "optimizer", common=optimizers.COMMON),
}
"""What the config of a GAN says; `ABOUT` has the meanings."""

ABOUT = {
    "latents": "Dimensions of z.",
    "latent_distribution": "normal, N(0, 1), or uniform, U(-1, 1).",
    "packing": "Examples that the discriminator sees as one, PacGAN's m; a step takes m batches.",
    "critic_steps": "Discriminator steps to one of the generator.",
    "simultaneous": "Both players move from the same point, else the generator answers the updated discriminator.",
    "unrolled_steps": "Further discriminator steps that the generator foresees.",
    "joint_batches": "Batch norm sees real and fake examples together, else apart.",
    "joint_packs": "The generator makes all m batches of a packed step in one pass, else in one each, so that its "
                   "batch norm sees them apart (PacGAN's released code).",
    "minibatch_stddev": "Size of the groups of the minibatch standard deviation, 0 for none.",
    "discriminator_bias": "A bias in the discriminator's last layer, which an autoencoder and `product` have not.",
    "generator_statistics": "What the generator's batch norm samples with, a key of `sampling.STATISTICS`: averaged, "
                            "running, standing or batch; training is the same with each.",
    "weight_clip": "Bound of the discriminator's weights, 0 for none.",
    "instance_noise": "Standard deviation of noise on all examples, in data units; 0 for none.",
    "generator_batches": "Fakes of the generator's step, in batches.",
    "fresh_latents": "The generator's step draws latents of its own, as it does of several batches; else the "
                     "discriminator's fakes serve both.",
    "generator_best": "The part of its fakes, of the highest logits, that the generator learns from; 0 for all.",
    "label_embedding": "Width of the generator's embedding of the label; 0 for one-hot labels.",
    "augment_probability": "Of each augmentation of each image; of StyleGAN2-ADA's a factor on the probabilities "
                           "of their operations.",
    "bounded": "tanh or a sigmoid keeps samples in the data's range; else they are linear, as StyleGAN2's and R3GAN's.",
    "generator": "Makes examples of latents.",
    "discriminator": "Tells real examples from fake ones.",
    "reconstruction": "Makes the discriminator an autoencoder, this its decoder, its code as wide as the latents; a "
                      "logit is then minus the mean absolute error of an example.",
    "loss": "What both players minimise.",
    "penalties": "On the discriminator.",
    "penalties.weight": "What the penalty is multiplied by.",
    "penalties.every": "Steps from one to the next, 16 for a lazy penalty.",
    "augment": "Of real and fake examples alike, before the discriminator sees them.",
    "ada": "Moves the probability of augmentations by how far the discriminator overfits.",
    "ada.target": "Mean sign of real examples' logits, less the loss's threshold, to aim at; usually 0.6, 0 for none.",
    "ada.initial": "The probability at first.",
    "ada.images": "Training examples in which the probability goes from 0 to 1.",
    "ada.every": "Steps from one move to the next.",
    "rotation": "Self-supervision: the discriminator also tells by how many quarter turns an image is turned.",
    "rotation.real": "Weight of that in the discriminator, of real images; 1 in SSGAN, 0 for none.",
    "rotation.fake": "Weight of that in the generator, of its images; 0.2 in SSGAN, 0 for none.",
    "path_length": "StyleGAN2's path length regularisation of the generator.",
    "path_length.weight": "What it is multiplied by, 2 in the paper; 0 for none.",
    "path_length.decay": "Of the moving average of the lengths.",
    "path_length.every": "Steps from one to the next.",
    "path_length.shrink": "The part of a batch that it is taken of, one in so many.",
    "conditioning": "How the discriminator uses labels; without it there are none.",
    "codes": "InfoGAN's, the last entries of z.",
    "codes.categorical": "Values of each categorical code.",
    "codes.continuous": "How many continuous codes.",
    "codes.weight": "Of the bound of the mutual information.",
    "generator_optimizer": "Of the generator's parameters.",
    "discriminator_optimizer": "Of the discriminator's parameters.",
}
"""Key to its meaning."""

HYPERS = ("loss", "penalties", "augment", "conditioning", "codes", "weight_clip", "instance_noise", "ema_half_life")
CHOSEN = ("generator_best", "ada.target", "rotation.real", "rotation.fake", "path_length.weight")
"""Where the config's floats are that may differ between replicas of one program, beside those of the optimizers;
`CHOSEN` are leaves where they are not 0."""

FLOATS = (*HYPERS, *CHOSEN, "augment_probability", "ema_rampup", "generator_optimizer", "discriminator_optimizer")
"""Where the floats are that may have a schedule."""


class GAN(NamedTuple):
    """The players, their game and what draws of them. All methods are pure functions of the state."""

    config: ConfigDict
    spec: Spec
    players: Players
    game: Game
    sampler: Sampler

    def init(self, key: PRNGKeyArray, examples: Batch) -> TrainState:
        """The state before the first step."""
        players, n = self.players, 2 * self.players.packing
        condition = None if not players.classes else jnp.zeros((n, players.classes))
        z, x = players.draw_latents(key, 2), players.pack(jnp.zeros((n, *self.spec.shape)))
        g_params, g_variables = common.initial(
            players.generator, stream(key, "init generator"), z, None if condition is None else condition[:2])
        d_params, d_variables = common.initial(
            players.discriminator, stream(key, "init discriminator"), x, players.pack(condition))
        params, averages = {"generator": g_params, "discriminator": d_params}, {}
        if self.config.ema_half_life:
            averages = jax.tree.map(jnp.copy, self.sampler.averages(g_params, g_variables))
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            key=key,
            params=params,
            variables={"generator": g_variables, "discriminator": d_variables} | followed_at_first(self.config)
            | path_length.initial(self.config),
            opt_state={player: optimizers.init(self.config, f"{player}_optimizer", params[player])
                       for player in PLAYERS},
            ema=averages,
            hypers=self.hypers()
            | optimizers.hypers(self.config, *(f"{player}_optimizer" for player in PLAYERS))
            | common.ema_hypers(self.config),
        )

    def hypers(self) -> dict[str, Array]:
        """The leaves that are floats of the config, but for those of optimizers and average."""
        config = self.config
        chosen = [key for key in CHOSEN if flatten(config)[key]]
        probability = ["augment_probability"] if config.augment else []
        decay = ["path_length.decay"] if config.path_length.weight else []
        return common.hypers(config, *(key for key in HYPERS if key in config), *chosen, *probability, *decay)

    def deal(self, state: TrainState, real: Float[Array, "n ..."], condition, key: PRNGKeyArray):
        """A hand of the game. Returns (hand, grads of the hand's fakes -> grads of the generator, its variables)."""
        def generate(params, inputs):
            return self.players.generate_packs(params, state.variables["generator"], *inputs)

        z = self.players.draw_latents(stream(key, "latents"), len(real))
        real, condition, z = common.shared((real, condition, z))
        fake, pull_back, variables = common.vjp(generate, *self.game.parts)(state.params["generator"], (z, condition))
        codes = z[:, self.players.latents - self.players.codes.width:]
        return Hand(real, fake, condition, codes), pull_back, variables

    def deal_anew(self, state: TrainState, hand: Hand, variables, key: PRNGKeyArray):
        """A hand for the generator's step: `generator_batches` times the real examples of `hand`, and other fakes."""
        real, condition = jax.tree.map(
            lambda x: jnp.concatenate([x] * self.config.generator_batches), (hand.real, hand.condition))
        state = state.replace(variables=state.variables | {"generator": variables})
        return self.deal(state, real, condition, stream(key, "generator's step"))

    def rounds(self, batch: Batch) -> tuple:
        """(real examples, condition) of each step of the discriminator, [critic_steps n ...]."""
        return common.rounds((batch["x"], self.players.condition(batch.get("label"))), self.config.critic_steps)

    def critic_step(self, state: TrainState, batch) -> tuple[TrainState, Metrics]:
        """A discriminator step on a hand of its own."""
        real, condition, key = batch
        hand, _, variables = self.deal(state, real, condition, key)
        return self.game.discriminator_step(
            state.replace(variables=state.variables | {"generator": variables}), hand, key)

    def update(self, state: TrainState, batch: Batch, key: PRNGKeyArray) -> tuple[TrainState, Metrics]:
        """Algorithm 1 of Goodfellow et al. 2014, with any loss, penalties and optimizers."""
        batches = (*self.rounds(batch), jax.random.split(stream(key, "critic"), self.config.critic_steps))
        if self.config.critic_steps > 1:
            state, _ = jax.lax.scan(self.critic_step, state, jax.tree.map(lambda a: a[:-1], batches))

        real, condition, last = jax.tree.map(lambda a: a[-1], batches)
        hand, pull_back, variables = self.deal(state, real, condition, last)
        before = state
        state, metrics = self.game.discriminator_step(state, hand, last)
        opponent = before if self.config.simultaneous else state
        if self.config.fresh_latents or self.config.generator_batches > 1:
            hand, pull_back, variables = self.deal_anew(opponent, hand, variables, last)
        gradient, terms = self.game.answer(opponent, hand, stream(key, "answer"))
        grads, paths, lengths = path_length.added(
            self.config, self.players, opponent, pull_back(gradient), hand.condition, stream(key, "path length"))
        state, limited = self.game.moved("generator", state, grads)
        augmentation, adapted = adaptive.adjusted(self.config, state)
        metrics |= terms | limited | adapted | lengths
        metrics |= {"generator_gradient_norm": optimizers.norm(grads), "diversity": diversity(real, hand.fake)}
        skipped = limited.get("generator_skipped_updates")
        ema = common.averages(self.config, state, self.sampler.averages(state.params["generator"], variables),
                              len(real), lambda name: skipped)
        held = optimizers.unless(
            skipped, state.variables | {"generator": variables} | paths, state.variables) | augmentation
        return state.replace(step=state.step + 1, variables=held, ema=ema), metrics

    def decode(self, state: TrainState, z: Float[Array, "n d"], label: Int[Array, "n"] | None = None, **options
               ) -> Float[Array, "n ..."]:
        """G(z) in data units, by the averaged generator if one is kept, with the config's `generator_statistics`.

        `label` of a conditional model is 0 where it is not given; an unconditional one raises a UserError if it is.
        `options`: of a generator that has any, as StyleGAN2's.
        """
        if label is not None and not self.players.classes:
            raise UserError("This GAN was trained without labels: there is no label to choose.")
        label = jnp.zeros(len(z), jnp.int32) if label is None else label
        return self.sampler.generate(state, z, self.players.condition(label), **options)

    def latents(self, state: TrainState, key: PRNGKeyArray, n: int, bound: float | None = None
                ) -> Float[Array, "n d"]:
        """n samples of p(z), codes included; of p(z | all |z_i| <= bound) where that is given."""
        return self.players.draw_latents(key, n, bound)

    def sample(self, state: TrainState, key: PRNGKeyArray, n: int, label: Int[Array, "n"] | None = None
               ) -> Float[Array, "n ..."]:
        """n samples, of the given labels or, in a conditional model, of ones as frequent as in the data."""
        label = self.players.draw_labels(key, n) if label is None else label
        return self.decode(state, self.players.draw_latents(key, n), label)

    def truncated(self, state: TrainState, key: PRNGKeyArray, n: int, truncation: float,
                  label: Int[Array, "n"] | None = None) -> Float[Array, "n ..."]:
        """The same with less variety and, usually, better images.

        `truncation` draws styles to their mean (psi of Karras et al. 2019, appendix B); where there are none, it bounds
        the latents (Brock et al. 2019, section 3.1).
        """
        label = self.players.draw_labels(key, n) if label is None else label
        if self.players.styled:
            return self.decode(state, self.players.draw_latents(key, n), label, truncation=truncation)
        return self.decode(state, self.players.draw_latents(key, n, truncation), label)

    def mix(self, state: TrainState, z: Float[Array, "n d"], second: Float[Array, "n d"], crossover: int
            ) -> Float[Array, "n ..."]:
        """Images with the styles of `z` up to a layer and of `second` from there on, label 0 of a conditional model."""
        return self.decode(state, z, second=second, crossover=crossover)

    def discriminate(self, state: TrainState, x: Float[Array, "n ..."], label: Int[Array, "n"] | None = None
                     ) -> Float[Array, "n"]:
        """Logits of any examples, each for itself; under packing, of each example and the next.

        With running batch statistics, which are averages over real and fake batches alike. The discriminator plays with
        those of each batch: what it says in the game is `judge`.
        """
        label = jnp.zeros(len(x), jnp.int32) if label is None else label
        packs, condition = self.players.pack_with_next(x), self.players.pack_with_next(self.players.condition(label))
        return self.players.judge(state.params["discriminator"], state.variables["discriminator"], packs, condition,
                                  train=False)[0].logits

    def judge(self, state: TrainState, real: Float[Array, "n ..."], fake: Float[Array, "n ..."],
              label: Int[Array, "n"] | None = None) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
        """Logits of a batch of real examples and of one of fakes as the game has them, of the same labels.

        With the statistics of these batches, apart or together as the config's `joint_batches` says; under packing, of
        each example and the next. Without augmentation and instance noise.
        """
        label = jnp.zeros(len(real), jnp.int32) if label is None else label
        shown = map(self.players.pack_with_next, (real, fake, self.players.condition(label)))
        of_real, of_fake, _ = self.players.judge_both(
            state.params["discriminator"], state.variables["discriminator"], *shown)
        return of_real.logits, of_fake.logits

    def evaluate(self, state: TrainState, batch: Batch, key: PRNGKeyArray) -> Metrics:
        """What the discriminator says of the batch and of as many samples, as it plays (`judge`), and their spread."""
        label = batch.get("label") if self.players.classes else None
        fake = self.sample(state, key, len(batch["x"]), label)
        logits = self.judge(state, batch["x"], fake, label)
        return verdict(self.game.loss(state), *logits) | {
            "diversity": jnp.broadcast_to(diversity(batch["x"], fake), (len(batch["x"]),))}

    def diagnose(self, state: TrainState, batch: Batch, key: PRNGKeyArray) -> Metrics:
        """Norms of the generator's gradient through log(1 - D) and through -log D, whatever loss is trained.

        Arjovsky & Bottou 2017, figures 2 and 3. With batch statistics, as in a step; one forward pass serves both.
        """
        real, condition = jax.tree.map(lambda a: a[-1], self.rounds(batch))
        hand, pull_back, _ = self.deal(state, real, condition, key)

        def logits(fake, hand, key):
            shown = self.game.show_both(state, hand._replace(fake=fake), key)
            return self.players.judge_both(
                state.params["discriminator"], state.variables["discriminator"], shown.real, shown.fake,
                self.players.pack(shown.condition))[1].logits

        def gradients(hand, key):
            value, to_fake = jax.vjp(lambda fake: logits(fake, hand, key), hand.fake)
            sides = {"saturating": saturating, "non_saturating": non_saturating_generator}
            return (), {name: to_fake(jax.grad(lambda logits, side=side: side(logits, logits).mean())(value))[0]
                        for name, side in sides.items()}

        _, found = common.in_parts(gradients, *self.game.parts)(hand, stream(key, "show"))
        return {f"generator_gradient_{name}": optimizers.norm(pull_back(gradient)) / self.game.parts[0]
                for name, gradient in found.items()}


def make(config, spec: Spec) -> Family:
    """The GAN that the config describes, for examples of `spec`, as a Family."""
    players = build(config, spec)
    gan = GAN(config, spec, players, Game(config, players), sampling.build(config, players))
    methods = {"decode": gan.decode, "discriminate": gan.discriminate, "judge": gan.judge, "latents": gan.latents,
               "truncated": gan.truncated}
    methods |= {"mix": gan.mix} if players.styled else {}
    return Family(gan.init, gan.update, gan.evaluate, gan.sample, methods, config.critic_steps * config.packing,
                  gan.diagnose, {sampling.AVERAGED: gan.sampler.standing})
