"""Layers, forward and backward, against PyTorch's."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gen.networks import resnet
from gen.networks.attention import SelfAttention
from gen.networks.layers import BatchNorm, Conv, ConvTranspose
from gen.objectives.penalties import r1
from tests.parity.comparisons import against
from tests.parity.references import (
    F,
    arrays,
    batch_norm,
    channels_first,
    channels_last,
    conv,
    conv_transpose,
    gradients,
    normal,
    randomised,
    tensors,
    torch,
)

KEY = jax.random.key(0)


def layer(module, x, reference, **options):
    """Pairs: the result, and the gradients of a weighted sum of it in the parameters and the input."""
    params = randomised(module.init(KEY, x, **options)["params"])

    def ours(params, x):
        found = module.apply({"params": params}, x, **options, **({"mutable": ["batch_stats"]} if options else {}))
        return found[0] if options else found

    p, t = tensors(params), torch.tensor(np.float64(x), requires_grad=True)
    theirs = reference(p, t)
    result = jax.jit(ours)(params, x)
    yield result, arrays(theirs)
    weights = normal(9, *result.shape)
    slopes = jax.jit(jax.grad(lambda params, x: (ours(params, x) * weights).sum(), argnums=(0, 1)))(params, x)
    yield slopes, gradients((theirs * torch.tensor(np.float64(weights))).sum(), (p, t))


CONVOLUTIONS = {
    "4x4, stride 2, 3 to 8 channels": (8, (4, 4), 2, 1, (2, 12, 12, 3), 1),
    "4x4, stride 2, 16 to 32 channels (minimal filtering)": (32, (4, 4), 2, 1, (2, 8, 8, 16), 1),
    "3x3, 16 to 16 channels (minimal filtering)": (16, (3, 3), 1, 1, (2, 7, 7, 16), 1),
    "5x5, 4 to 3 channels": (3, (5, 5), 1, 2, (2, 9, 9, 4), 1),
    "1x1": (7, (1, 1), 1, 0, (2, 5, 5, 6), 1),
    "3x3, 4 groups": (16, (3, 3), 1, 1, (2, 8, 8, 8), 4),
    "3x3, 2 groups of 16": (32, (3, 3), 1, 1, (2, 8, 8, 32), 2),
}


def convolution(name):
    width, size, stride, padding, shape, groups = CONVOLUTIONS[name]
    return layer(Conv(width, size, stride, feature_group_count=groups), normal(0, *shape),
                 lambda p, x: channels_last(conv(p, channels_first(x), stride, padding, groups)))


for _name in CONVOLUTIONS:
    against("torch", f"convolution {_name}: gradients", 5e-6)(lambda name=_name: convolution(name))


@against("torch", "transposed convolution 4x4, stride 2, 16 to 16 and 5 to 3 channels: gradients", 5e-6)
def transposed():
    for width, channels in ((16, 16), (3, 5)):
        yield from layer(ConvTranspose(width, (4, 4), (2, 2)), normal(0, 2, 5, 5, channels),
                         lambda p, x: channels_last(conv_transpose(p, channels_first(x))))


@against("torch", "transposed convolution 3x3, stride 1: gradients", 5e-6)
def transposed_without_stride():
    return layer(ConvTranspose(4, (3, 3)), normal(0, 2, 6, 6, 5),
                 lambda p, x: channels_last(conv_transpose(p, channels_first(x), 1, 1)))


@against("torch", "R1 through two convolutions: its gradients", 5e-6)
def penalised_convolutions():
    """The gradient of a gradient in the matmul forms of the CPU."""
    layers, x = (Conv(16, (4, 4), 2), Conv(16, (3, 3))), normal(0, 2, 8, 8, 3)
    params = [randomised(Conv(16, (4, 4)).init(KEY, x)["params"], 1),
              randomised(Conv(16, (3, 3)).init(KEY, normal(0, 2, 4, 4, 16))["params"], 2)]

    def ours(params):
        def critic(x):
            for module, p in zip(layers, params, strict=True):
                x = jnp.tanh(module.apply({"params": p}, x))
            return x.sum((1, 2, 3))

        return r1(critic, jnp.asarray(x), jnp.asarray(x), KEY).mean()

    p, t = tensors(params), torch.tensor(np.float64(x), requires_grad=True)
    h = torch.tanh(conv(p[0], channels_first(t), 2, 1))
    h = torch.tanh(conv(p[1], h, 1, 1))
    (slope,) = torch.autograd.grad(h.sum(), t, create_graph=True)
    theirs = (slope**2).sum((1, 2, 3)).mean()
    value, slopes = jax.jit(jax.value_and_grad(ours))(params)
    yield value, arrays(theirs)
    yield slopes, gradients(theirs, p)


@against("torch", "batch norm of vectors and of maps, momentum 0.95, eps 1e-4: gradients", 5e-6)
def batch_normalised():
    module = BatchNorm(use_running_average=None, momentum=0.95, epsilon=1e-4)
    yield from layer(module, normal(0, 24, 5), lambda p, x: batch_norm(p, x, 1e-4), use_running_average=False)
    yield from layer(module, normal(1, 3, 4, 4, 5),
                     lambda p, x: channels_last(batch_norm(p, channels_first(x), 1e-4)), use_running_average=False)


@against("torch", "batch norm: running statistics, momentum 0.95 (theirs keeps n / (n - 1) of the variance)", 1e-6)
def running_statistics():
    module, n = BatchNorm(momentum=0.95, epsilon=1e-4), 24
    variables = module.init(KEY, normal(0, n, 5), use_running_average=True)
    mean, variance = torch.zeros(5, dtype=torch.float64), torch.ones(5, dtype=torch.float64)
    for step in range(3):
        x = normal(step, n, 5) + step
        _, new = module.apply(variables, x, use_running_average=False, mutable=["batch_stats"])
        variables = variables | new
        unbiased = torch.zeros(5, dtype=torch.float64)
        F.batch_norm(torch.tensor(np.float64(x)), mean, unbiased, None, None, True, 0.05, 1e-4)
        variance = 0.95 * variance + unbiased * (n - 1) / n
    found = variables["batch_stats"]
    yield (found["mean"], found["var"]), (mean.numpy(), variance.numpy())


@against("torch", "layer norm: gradients", 5e-6)
def layer_normalised():
    return layer(nn.LayerNorm(), normal(0, 8, 6), lambda p, x: F.layer_norm(x, (6,), p["scale"], p["bias"], 1e-6))


@against("torch", "group norm: gradients", 5e-6)
def group_normalised():
    return layer(nn.GroupNorm(4), normal(0, 2, 5, 5, 8), lambda p, x: channels_last(
        F.group_norm(channels_first(x), 4, p["scale"], p["bias"], 1e-6)))


@against("torch", "spectral norm, three power iterations: kernel and vector, gradients", 5e-6)
def spectral():
    module, x = nn.SpectralNorm(nn.Dense(5, use_bias=False)), normal(0, 4, 7)
    variables = module.init(KEY, x, update_stats=False)
    kernel = variables["params"]["layer_instance"]["kernel"] if "layer_instance" in variables["params"] else next(
        iter(jax.tree.leaves(variables["params"])))
    other = torch.nn.Linear(7, 5, bias=False, dtype=torch.float64)
    (u,) = [v for v in jax.tree.leaves(variables["batch_stats"]) if v.size == 5]
    with torch.no_grad():
        other.weight.copy_(torch.tensor(np.float64(kernel)).T)
    other = torch.nn.utils.spectral_norm(other)
    other.weight_u.copy_(torch.tensor(np.float64(u)).ravel())
    t = torch.tensor(np.float64(x))

    def ours(params, statistics):
        return module.apply({"params": params, "batch_stats": statistics}, x, update_stats=True,
                            mutable=["batch_stats"])

    statistics = variables["batch_stats"]
    for _ in range(3):
        slopes = jax.grad(lambda params, statistics=statistics: jnp.square(ours(params, statistics)[0]).sum())(
            variables["params"])
        y, new = ours(variables["params"], statistics)
        statistics, theirs = new["batch_stats"], other(t)
        other.zero_grad()
        (theirs**2).sum().backward()
        yield y, arrays(theirs)
        yield jax.tree.leaves(slopes)[0], other.weight_orig.grad.numpy().T


@against("torch", "self-attention over pixels: gradients", 5e-6)
def attention():
    def theirs(p, x):
        b, h, w, c = x.shape
        query, key, value = (dense_map(p[name], x).reshape(b, h * w, -1) for name in ("query", "key", "value"))
        mixed = F.scaled_dot_product_attention(query, key, value, scale=1.0).reshape(b, h, w, -1)
        return x + p["gamma"] * dense_map(p["output"], mixed)

    def dense_map(p, x):
        return channels_last(conv(p, channels_first(x)))

    return layer(_Attention(), normal(0, 2, 4, 4, 16), theirs)


class _Attention(nn.Module):
    """`SelfAttention` in training."""

    @nn.compact
    def __call__(self, x):
        return nn.share_scope(self, inner := SelfAttention()) or inner(x, train=True)


@against("torch", "halving by means and doubling by repetition", 1e-6)
def resampled():
    x = normal(0, 2, 6, 6, 3)
    t = channels_first(torch.tensor(np.float64(x)))
    yield resnet.halve(jnp.asarray(x)), arrays(channels_last(F.avg_pool2d(t, 2)))
    yield resnet.double(jnp.asarray(x)), arrays(channels_last(F.interpolate(t, scale_factor=2)))
