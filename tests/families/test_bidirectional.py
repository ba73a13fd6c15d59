"""Convolutional hierarchies: a linear one is a known Gaussian, one of one layer a VAE, parts are what they say."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.data import Dataset, Spec
from gen.errors import UserError
from gen.evaluation import Subject
from gen.evaluation.likelihood import log_likelihood_per_example
from gen.families import vae
from gen.families.vae import bidirectional
from gen.families.vae.latent import apart
from gen.networks.convolutional_ladder import Depthwise
from gen.networks.layers import Conv, ConvTranspose
from gen.networks.very_deep import very_deep
from gen.rng import stream
from tests.helpers import all_of, hierarchy_config, vae_config

KEY = jax.random.key(0)
SIDE, SCALE = 4, 1.5
SPEC = Spec((SIDE, SIDE, 1), 0, "real")
LINEAR = {"activation": "identity", "batch_norm": False, "dropout": 0.0, "gated": False, "skip": False,
          "merge": "linear", "initial_scale": 0.0, "first_halving": False, "width": 3, "blocks": 1}


def config(hierarchy=None, **overrides):
    """A VAE with these options of its hierarchy."""
    return hierarchy_config(**{f"hierarchy__{name}": value for name, value in (hierarchy or {}).items()} | overrides)


def numpy_conv(x, layer, stride=1):
    """[h w c] by [k k c o] with (k - 1) / 2 zeros around, one output at a time."""
    kernel, bias = (np.asarray(layer[name], np.float64) for name in ("kernel", "bias"))
    k = kernel.shape[0]
    x = np.pad(x, ((k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    side = (x.shape[0] - k) // stride + 1
    return np.array([[np.tensordot(x[stride * i:stride * i + k, stride * j:stride * j + k], kernel, 3) + bias
                      for j in range(side)] for i in range(side)])


def numpy_double(x, layer):
    """Each pixel adds its 3x3 stamp to a map of twice the side: torch's transposed convolution, kernel turned."""
    kernel, bias = (np.asarray(layer[name], np.float64) for name in ("kernel", "bias"))
    out = np.zeros((2 * len(x) + 2, 2 * len(x) + 2, kernel.shape[-1]))
    for i in range(len(x)):
        for j in range(len(x)):
            out[2 * i:2 * i + 3, 2 * j:2 * j + 3] += np.tensordot(x[i, j], kernel[::-1, ::-1], (0, 2))
    return out[1:-1, 1:-1] + bias


def numpy_residual(x, block):
    """A linear residual block: perhaps a change of size, then h + two convolutions."""
    if "ConvTranspose_0" in block:
        x = numpy_double(x, block["ConvTranspose_0"])
    convs = [block[name] for name in sorted(name for name in block if name.startswith("Conv_"))]
    if len(convs) == 3:
        x = numpy_conv(x, convs.pop(0), 2)
    return x + numpy_conv(numpy_conv(x, convs[0]), convs[1])


def affine(function, *sizes):
    """(matrix, offset) of an affine function of flat vectors, one basis vector at a time."""
    zero = [np.zeros(size) for size in sizes]
    offset = function(*zero)
    columns = [[function(*[e if i == j else z for j, z in enumerate(zero)]) - offset for e in np.eye(size)]
               for i, size in enumerate(sizes)]
    return [np.array(c).T for c in columns], offset


class LinearLadder:
    """Two layers, z_1 of 4x4 and z_2 of 2x2, all of it linear, its log-scales constant: p(x) is a Gaussian."""

    def __init__(self):
        self.config = config(LINEAR | {"halvings": (0, 1)}, latents=1, data__name="ring", data__binarize="none",
                             likelihood__name="normal", likelihood__scale=SCALE, optimizer__name="sgd")
        self.family = vae.make(self.config, SPEC)
        self.x = jax.random.normal(stream(KEY, "x"), (5, SIDE, SIDE, 1))
        state = jax.jit(self.family.init)(KEY, {"x": self.x})
        self.state = state.replace(params=jax.tree_util.tree_map_with_path(self.changed, state.params))
        self.encoder, self.decoder = (self.state.params[name] for name in ("encoder", "decoder"))
        self.solve()

    @staticmethod
    def changed(path, v):
        """Smaller kernels, biases that are not 0, and no log-scale that depends on anything."""
        path = jax.tree_util.keystr(path)
        v = 0.55 * v if v.ndim == 4 else v + 0.1 * jax.random.normal(stream(KEY, path), v.shape)
        return v.at[..., 1:].multiply(0.0 if v.ndim == 4 else 1.0) if "priors" in path or "posteriors" in path else v

    def down(self, z2):
        """z_2 -> the state for z_1."""
        return numpy_residual(numpy_conv(z2.reshape(2, 2, 1), self.decoder["projections_1"]),
                              self.decoder["blocks_1_0"])

    def image(self, z1):
        h = numpy_residual(numpy_conv(z1.reshape(4, 4, 1), self.decoder["projections_0"]), self.decoder["blocks_0_0"])
        return numpy_conv(numpy_residual(h, self.decoder["exits_0"]), self.decoder["last"]).ravel()

    def features(self, x):
        h = numpy_residual(numpy_conv(x.reshape(4, 4, 1), self.encoder["input"]), self.encoder["entrance"])
        first = numpy_residual(h, self.encoder["blocks_0_0"])
        return first, numpy_residual(first, self.encoder["blocks_1_0"])

    def solve(self):
        """Moments of p(z, x) and of q(z|x), z = (z_1, z_2)."""
        decoder, encoder, d1, d2 = self.decoder, self.encoder, 16, 4
        (b,), offset = affine(lambda z: numpy_conv(self.down(z), decoder["priors_0"])[..., 0].ravel(), d2)
        (c,), rest = affine(self.image, d1)
        top = np.asarray(decoder["top_prior"], np.float64)
        s1 = math.exp(float(decoder["priors_0"]["bias"][1]))
        cov = np.zeros((d1 + d2, d1 + d2))
        cov[d1:, d1:] = np.diag(np.exp(top[..., 1]).ravel())
        cov[:d1, d1:] = b @ cov[d1:, d1:]
        cov[d1:, :d1] = cov[:d1, d1:].T
        cov[:d1, :d1] = b @ cov[d1:, d1:] @ b.T + s1 * np.eye(d1)
        mean = np.concatenate([b @ top[..., 0].ravel() + offset, top[..., 0].ravel()])
        self.prior, self.map = (mean, cov), (np.hstack([c, np.zeros((d1, d2))]), rest)

        def q2(x):
            return numpy_conv(self.features(x)[1], encoder["posteriors_1"])[..., 0].ravel()

        def q1(x, z2):
            both = np.concatenate([self.features(x)[0], self.down(z2)], -1)
            merged = numpy_conv(both, encoder["merges_0"]["Conv_0"])
            return numpy_conv(merged, encoder["posteriors_0"])[..., 0].ravel()

        self.q2, self.q1 = affine(q2, 16), affine(q1, 16, d2)
        self.variances = [math.exp(float(encoder[f"posteriors_{i}"]["bias"][1])) for i in range(2)]

    def log_likelihood(self):
        """log p(x) of each example."""
        (mean, cov), (a, rest) = self.prior, self.map
        total, error = a @ cov @ a.T + SCALE**2 * np.eye(16), np.asarray(self.x).reshape(5, -1) - a @ mean - rest
        solved = np.linalg.solve(total, error.T).T
        return -0.5 * ((error * solved).sum(1) + np.linalg.slogdet(2 * np.pi * total)[1])

    def divergence(self):
        """KL(q(z|x) || p(z|x)) of each example, both Gaussians with full covariances."""
        (mean, cov), (a, rest) = self.prior, self.map
        precision = np.linalg.inv(cov) + a.T @ a / SCALE**2
        exact = np.linalg.inv(precision)
        ((m2,), o2), ((m1, g), o1) = self.q2, self.q1
        found = []
        for x in np.asarray(self.x, np.float64).reshape(5, -1):
            centre = exact @ (np.linalg.solve(cov, mean) + a.T @ (x - rest) / SCALE**2)
            top = m2 @ x + o2
            q_mean = np.concatenate([m1 @ x + g @ top + o1, top])
            q_cov = np.block([[g @ g.T * self.variances[1] + self.variances[0] * np.eye(16), g * self.variances[1]],
                              [g.T * self.variances[1], self.variances[1] * np.eye(4)]])
            error = centre - q_mean
            found.append(0.5 * (np.trace(precision @ q_cov) + error @ precision @ error - 20
                                - np.linalg.slogdet(precision @ q_cov)[1]))
        return np.array(found)


@pytest.fixture(scope="module")
def linear():
    return LinearLadder()


@pytest.mark.slow
def test_the_bound_of_a_linear_hierarchy_is_its_likelihood_less_the_divergence(linear):
    evaluate = jax.jit(jax.vmap(lambda key: linear.family.evaluate(linear.state, {"x": linear.x}, key)))
    found = evaluate(jax.random.split(KEY, 4000))
    expected = linear.log_likelihood() - linear.divergence()
    error = found["elbo"].std(0) / 4000**0.5
    assert linear.divergence().min() > 0.2
    np.testing.assert_array_less(np.abs(found["elbo"].mean(0) - expected), 4.5 * error + 1e-3)
    np.testing.assert_allclose(found["kl_layer_1"] + found["kl_layer_2"], found["kl"], rtol=1e-5)


@pytest.mark.slow
def test_importance_weighting_of_a_linear_hierarchy_finds_its_likelihood(linear):
    dataset = Dataset(SPEC, {}, {"x": np.asarray(linear.x)})
    subject = Subject(None, dataset, linear.config, linear.state, linear.family.methods)
    found = log_likelihood_per_example(subject, 20_000, 0, 10_000)
    np.testing.assert_allclose(found, linear.log_likelihood(), atol=0.05)


@pytest.mark.slow
def test_one_layer_is_the_vae_of_one_layer():
    """The same affine maps as matrices of a VAE of one layer, and the same noise: the same terms."""
    overrides = {"data__name": "ring", "data__binarize": "none", "likelihood__name": "normal"}
    ladder = vae.make(config(LINEAR | {"halvings": (0,), "learn_top_prior": False}, latents=1, **overrides), SPEC)
    x = jax.random.normal(KEY, (6, SIDE, SIDE, 1))
    state = jax.jit(ladder.init)(KEY, {"x": x})
    one = vae.make(vae_config(latents=16, encoder__hidden=(), decoder__hidden=(), **overrides), SPEC)
    q, decode = (lambda x: ladder.methods["encode"](state, x)), (lambda z: ladder.methods["decode"](state, z))

    def matrix(function, size, shape=(16,)):
        offset = function(jnp.zeros((1, *shape))).reshape(-1)
        return {"kernel": function(jnp.eye(size).reshape(size, *shape)).reshape(size, -1) - offset, "bias": offset}

    plain = jax.jit(one.init)(KEY, {"x": x})
    plain = plain.replace(params={
        "encoder": {"loc": matrix(lambda x: q(x).loc, 16, SPEC.shape),
                    "log_scale": matrix(lambda x: q(x).log_scale, 16, SPEC.shape)},
        "decoder": {"network": {"output": matrix(decode, 16)}}})
    a = ladder.methods["log_weights"](state, {"x": x}, KEY, 3)
    b = one.methods["log_weights"](plain, {"x": x}, stream(KEY, "noise", 0), 3)
    np.testing.assert_allclose(a, b, rtol=2e-5)
    a, b = (f.evaluate(s, {"x": x}, key) for f, s, key in ((ladder, state, KEY), (one, plain, stream(KEY, "noise", 0))))
    for name in b:
        np.testing.assert_allclose(a[name], b[name], rtol=2e-5, atol=1e-5)


HIERARCHIES = {
    "convolutional_ladder": {"halvings": (0, 1)},
    "very_deep": {"up": ("8x1", "8d2", "4d4", "1"), "down": ("1", "4m1", "8m4"), "width": 8},
}


DEEPER = {"hierarchy__up": ("8x6", "8d8", "1"), "hierarchy__down": ("1", "8m1", "8x6")}


def made(name, **overrides):
    of, spec = config(HIERARCHIES[name], hierarchy__name=name, **overrides), Spec((8, 8, 1), 0, "unit")
    return vae.make(of, spec), bidirectional.build(of, spec)


@pytest.fixture(scope="module", params=[*HIERARCHIES, "loops"])
def nonlinear(request):
    """(family, model, a state away from the initial one, a batch); the deep one has loops of equal layers."""
    deep = request.param == "loops"
    family, model = made("very_deep", **DEEPER) if deep else made(request.param)
    x = jnp.float32(jax.random.bernoulli(KEY, 0.3, (4, 8, 8, 1)))
    state = jax.jit(family.init)(KEY, {"x": x})
    moved = jax.tree_util.tree_map_with_path(
        lambda path, v: v + 0.1 * jax.random.normal(stream(KEY, jax.tree_util.keystr(path)), v.shape), state.params)
    return family, model, state.replace(params=moved), {"x": x}


@pytest.mark.slow
def test_densities_of_posterior_samples_are_those_of_the_joint(nonlinear):
    """log p(z) and log p(x|z) at the posterior's samples, computed on the way down, and of z alone."""
    family, model, state, batch = nonlinear
    inference = jax.jit(lambda s: all_of(model.infer(s.params, s.variables, batch, KEY, 1, train=False)[0]))(state)
    log_prior, log_likelihood = jax.jit(family.methods["log_joint"])(state, batch, inference.latents.z[None])
    np.testing.assert_allclose(inference.terms.log_prior, log_prior, rtol=1e-4)
    np.testing.assert_allclose(inference.terms.log_likelihood, log_likelihood, rtol=1e-4)
    np.testing.assert_allclose(inference.terms.log_posterior, inference.terms.log_posterior_held, rtol=1e-5)
    q = inference.latents.posterior
    np.testing.assert_allclose(q.log_prob(inference.latents.z).sum(-1), inference.terms.log_posterior[0], rtol=1e-4)


@pytest.mark.slow
def test_samples_hold_the_upper_layers_and_follow_the_temperature(nonlinear):
    family, model, state, _ = nonlinear
    z = family.methods["latents"](state, KEY, 3)
    count = len(model.layers)
    for held in (0, 1, count):
        again = apart(family.methods["complete"](state, stream(KEY, "other"), z, held), model.layers)
        same = [bool((a == b).all()) for a, b in zip(again, apart(z, model.layers), strict=True)]
        assert same == [False] * (count - held) + [True] * held
    cold = [family.methods["latents"](state, key, 3, 0.0) for key in jax.random.split(KEY, 2)]
    np.testing.assert_array_equal(*cold)
    top = [apart(family.methods["latents"](state, KEY, 3, t), model.layers)[-1] for t in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose(top[1] - top[0], 0.5 * (top[2] - top[0]), atol=1e-6)
    only_top = family.methods["latents"](state, KEY, 3, (0.0,) * (count - 1) + (1.0,))
    np.testing.assert_array_equal(apart(only_top, model.layers)[-1], top[2])
    with pytest.raises(UserError, match=f"{count + 1} temperatures for {count} layers"):
        family.methods["latents"](state, KEY, 3, (1.0,) * (count + 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", HIERARCHIES)
def test_the_inside_of_every_block_is_computed_again_where_that_is_asked_for(name):
    """The program of q has a checkpoint for each block, beside those of VDVAE's GELUs, and the same parameters."""
    x, shapes, counts = jnp.zeros((2, 8, 8, 1)), [], []
    for remat in (False, True):
        family, model = made(name, hierarchy__remat=remat)
        state = jax.eval_shape(family.init, KEY, {"x": x})
        shapes.append(jax.tree.map(lambda leaf: leaf.shape, state.params))
        program = str(jax.make_jaxpr(model.encode)(state.params, state.variables, x))
        counts.append(program.count("checkpoint[") + program.count("remat2["))
    assert shapes[0] == shapes[1] and (counts[0] == 0 or name == "very_deep") and counts[1] >= counts[0] + 5


@pytest.mark.slow
def test_initial_outputs_have_the_scale_that_is_asked_for():
    """Every convolution, in the order in which it is applied, on the batch that the initial values looked at."""
    family, model = made("convolutional_ladder", hierarchy__initial_scale=0.3, hierarchy__dropout=0.0,
                         hierarchy__batch_norm=False)
    x = jnp.float32(jax.random.bernoulli(KEY, 0.3, (64, 8, 8, 1)))

    @jax.jit
    def moments(state):
        found = {}

        def note(call, inputs, options, context):
            y = call(*inputs, **options)
            if isinstance(context.module, Conv | ConvTranspose):
                found["/".join(context.module.path)] = y.mean((0, 1, 2)), y.std((0, 1, 2))
            return y

        with bidirectional.nn.intercept_methods(note):
            zs = model.encode(state.params, state.variables, x).loc
            model.decode(state.params, state.variables, zs)
        return found

    found = moments(jax.jit(family.init)(KEY, {"x": x}))
    up = [name for name in found if name.startswith("encoder") and "poster" not in name and "merge" not in name]
    means, scales = (np.concatenate([found[name][i] for name in up]) for i in range(2))
    assert len(up) > 8
    np.testing.assert_allclose(means, 0, atol=1e-3)
    np.testing.assert_allclose(scales, 0.3, atol=0.01)


NVAE = {"squeeze": 16, "expansion": 3, "relative": True, "activation": "swish", "batch_norm": True, "dropout": 0.0}
"""What makes the ladder one in the manner of NVAE."""


@pytest.mark.slow
def test_a_relative_posterior_is_the_prior_where_the_encoder_adds_nothing():
    """With heads of zeros q is p, whatever p is; with a bias it is moved by as much, in units of p's scale."""
    family, model = made("convolutional_ladder", **{f"hierarchy__{name}": value for name, value in NVAE.items()})
    x = jnp.float32(jax.random.bernoulli(KEY, 0.3, (4, 8, 8, 1)))
    state = jax.jit(family.init)(KEY, {"x": x})

    def terms(shift):
        def changed(path, v):
            head = "posteriors" in jax.tree_util.keystr(path)
            return (v * 0 + shift if v.ndim == 1 else v * 0) if head else v

        params = jax.tree_util.tree_map_with_path(changed, state.params)
        return jax.jit(lambda: all_of(model.infer(params, state.variables, {"x": x}, KEY, 1, train=False)[0]).terms)()

    nothing, moved = terms(0.0), terms(0.5)  # half of the shift is that of the log-scale
    np.testing.assert_allclose(nothing.kl, 0, atol=1e-5)
    np.testing.assert_allclose(nothing.log_prior, nothing.log_posterior, rtol=1e-5)
    top = math.prod(model.layers[-1]) * (np.exp(0.5) / 2 + 0.5**2 / 2 - 0.25 - 0.5)
    np.testing.assert_allclose(moved.kl[:, -1], top, rtol=1e-4)
    assert (moved.kl[:, :-1] > 0.1).all()


@pytest.mark.slow
def test_a_depthwise_block_is_its_convolutions_one_channel_at_a_time():
    """In evaluation, with batch norms that have seen nothing: x / sqrt(1 + 1e-5)."""
    block = Depthwise(3, "swish", True, 0.0, jnp.float32, squeeze=1, expansion=2)
    h = jax.random.normal(KEY, (2, 4, 4, 3))
    variables = block.init(KEY, h, False)
    found = jax.jit(lambda h: block.apply(variables, h, False))(h)
    layers = variables["params"]
    assert layers["Conv_1"]["kernel"].shape == (5, 5, 1, 6)

    def norm(x):
        return np.asarray(x, np.float64) / np.sqrt(1 + 1e-5)

    def swish(x):
        return x / (1 + np.exp(-x))

    for image, expected in zip(h, found, strict=True):
        r = swish(norm(numpy_conv(norm(image), layers["Conv_0"])))
        each = [numpy_conv(r[..., i:i + 1], {name: layers["Conv_1"][name][..., i:i + 1] for name in ("kernel", "bias")})
                for i in range(6)]
        r = norm(numpy_conv(swish(norm(np.concatenate(each, -1))), layers["Conv_2"]))
        first, second = (layers["Excitation_0"][f"Dense_{i}"] for i in range(2))
        hidden = np.maximum(r.mean((0, 1)) @ first["kernel"] + first["bias"], 0)
        weights = 1 / (1 + np.exp(-(hidden @ second["kernel"] + second["bias"])))
        assert hidden.shape == (4,)
        np.testing.assert_allclose(expected, image + 0.1 * r * weights, atol=1e-5)


@pytest.mark.slow
def test_a_ladder_in_the_manner_of_nvae_has_depthwise_blocks_on_the_way_down_alone():
    family, _ = made("convolutional_ladder", **{f"hierarchy__{name}": value for name, value in NVAE.items()})
    state = jax.eval_shape(family.init, KEY, {"x": jnp.zeros((2, 8, 8, 1))})
    wide = {part: [jax.tree_util.keystr(path) for path, leaf in jax.tree_util.tree_leaves_with_path(state.params[part])
                   if leaf.shape[:3] == (5, 5, 1) and "input" not in jax.tree_util.keystr(path)]
            for part in ("encoder", "decoder")}
    assert not wide["encoder"] and len(wide["decoder"]) == 3  # a block of each layer, and the last one


PUBLISHED = {
    "cifar10": ({"width": 384}, 39_145_700),
    "imagenet32": ({"up": ("32x15", "32d2", "16x9", "16d2", "8x8", "8d2", "4x6", "4d4", "1x6"),
                    "down": ("1x2", "4m1", "4x4", "8m4", "8x9", "16m8", "16x19", "32m16", "32x40"), "width": 512},
                   119_280_868),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_of_vdvae_are_those_of_the_released_code(name):
    options, count = PUBLISHED[name]
    of = config(options, hierarchy__name="very_deep", latents=16, data__range="symmetric", data__binarize="none",
                likelihood__name="conditional_logistic_mixture")
    family = vae.make(of, Spec((32, 32, 3), 0, "symmetric"))
    state = jax.eval_shape(family.init, KEY, {"x": jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)})
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(state.params)) == count


@pytest.mark.parametrize("hierarchy, overrides, message", [
    ({"name": "very_deep", "up": ("8x",)}, {}, "'8x' is no part of an architecture"),
    ({"name": "very_deep", "up": ("8x1", "4d2")}, {}, "a block at resolution 4, where the way up is at 8"),
    ({"name": "very_deep", "up": ("8x1", "8d2", "4x1"), "down": ("2", "8m2")}, {}, "a layer at resolution 2"),
    ({"name": "very_deep", "up": ("8x1", "8d2", "4x1"), "down": ("4x2",)}, {}, "ends at resolution 4"),
    ({"halvings": (3,)}, {}, r"halvings=\(3,\)"),
    ({"merge": "sum"}, {}, "merge"),
    ({}, {"encoder__name": "mlp"}, "has its own"),
    ({}, {"output_bias": "data_mean"}, "begins at zero"),
    ({}, {"conditional": True}, "unconditional"),
    ({"dropout": 0.5}, {"samples": 2, "train__microbatches": 2}, "microbatches"),
])
def test_mistakes_are_explained(hierarchy, overrides, message):
    with pytest.raises(UserError, match=message):
        vae.make(config(hierarchy, **overrides), Spec((8, 8, 1), 10, "unit"))


def test_a_way_down_is_written_as_in_the_released_code():
    made = very_deep(("8x2", "8d2", "4x1"), ("4", "4x2", "8m4", "8"), 8, shape=(8, 8, 1), channels=3, outputs=1,
                     dtype=jnp.float32)
    assert made.layers == ((8, 8, 3),) * 2 + ((4, 4, 3),) * 3
    assert made.encoder.up == ((8, 1), (8, 1), (8, 2), (4, 1)) and made.encoder.middle == 2
