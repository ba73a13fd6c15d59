"""Whole networks in training, forward and backward, against PyTorch functions that read the same parameters."""

import jax
import jax.numpy as jnp

from gen.networks.dcgan import DCGANDecoder, DCGANEncoder
from gen.networks.mlp import MaxoutEncoder, MLPDecoder, MLPEncoder
from gen.networks.r3gan import Block
from gen.networks.resnet import ResNetDecoder, ResNetEncoder
from gen.networks.unet import LevelBlock
from tests.parity.comparisons import against
from tests.parity.references import (
    F,
    arrays,
    batch_norm,
    channels_first,
    channels_last,
    conv,
    conv_transpose,
    dense,
    gradients,
    normal,
    randomised,
    tensors,
)

KEY = jax.random.key(0)


def network(module, inputs, reference, **options):
    """Pairs: the output, and the gradients of a weighted sum of it in the parameters and the inputs."""
    params = randomised(module.init(KEY, *inputs, **options)["params"])

    def ours(params, inputs):
        return module.apply({"params": params}, *inputs, **options, mutable=["batch_stats"])[0]

    p, t = tensors(params), tensors(inputs)
    theirs = reference(p, *t)
    result = jax.jit(ours)(params, inputs)
    yield result, arrays(theirs)
    weights = normal(9, *result.shape)
    slopes = jax.jit(jax.grad(lambda params, inputs: (ours(params, inputs) * weights).sum(), argnums=(0, 1)))
    yield slopes(params, inputs), gradients((theirs * tensors(weights).detach()).sum(), (p, t))


def flat(x):
    """Maps [b c h w] as vectors, in the order of [b h w c]."""
    return channels_last(x).reshape(len(x), -1)


@against("torch", "DCGAN encoder with batch norm, 16x16: gradients", 2e-5)
def dcgan_encoder():
    def theirs(p, x):
        h = F.leaky_relu(conv(p["Conv_0"], channels_first(x), 2, 1), 0.2)
        return flat(F.leaky_relu(batch_norm(p["BatchNorm_0"], conv(p["Conv_1"], h, 2, 1)), 0.2))

    return network(DCGANEncoder(width=8), (normal(0, 6, 16, 16, 3),), theirs, train=True)


@against("torch", "DCGAN decoder with batch norm, 16x16: gradients", 2e-5)
def dcgan_decoder():
    def theirs(p, z):
        h = dense(p["Dense_0"], z).reshape(-1, 4, 4, 16)
        h = F.relu(batch_norm(p["BatchNorm_0"], channels_first(h)))
        h = F.relu(batch_norm(p["BatchNorm_1"], conv_transpose(p["ConvTranspose_0"], h)))
        return channels_last(conv_transpose(p["output"], h))

    return network(DCGANDecoder((16, 16, 3), width=8), (normal(0, 6, 5),), theirs, train=True)


@against("torch", "SNGAN residual encoder, 8x8, two halving blocks of three: gradients", 2e-5)
def resnet_encoder():
    def block(p, x, down, first):
        h = conv(p["Conv_0"], x if first else F.relu(x), padding=1)
        h = conv(p["Conv_1"], F.relu(h), padding=1)
        short = conv(p["Conv_2"], x) if "Conv_2" in p else x
        return F.avg_pool2d(h, 2) + F.avg_pool2d(short, 2) if down else h + short

    def theirs(p, x):
        h = channels_first(x)
        for i in range(3):
            h = block(p[f"DownBlock_{i}"], h, i < 2, i == 0)
        return F.relu(h).sum((2, 3))

    return network(ResNetEncoder(width=16, depth=3), (normal(0, 4, 8, 8, 3),), theirs, train=True)


@against("torch", "SNGAN residual decoder with batch norm, 8x8: gradients", 2e-5)
def resnet_decoder():
    def theirs(p, z):
        h = channels_first(dense(p["Dense_0"], z).reshape(-1, 4, 4, 16))
        up, q = (lambda x: F.interpolate(x, scale_factor=2)), p["UpBlock_0"]
        inner = conv(q["Conv_0"], up(F.relu(batch_norm(q["BatchNorm_0"], h))), padding=1)
        inner = conv(q["Conv_1"], F.relu(batch_norm(q["BatchNorm_1"], inner)), padding=1)
        h = inner + conv(q["Conv_2"], up(h))
        return channels_last(conv(p["output"], F.relu(batch_norm(p["BatchNorm_0"], h)), padding=1))

    return network(ResNetDecoder((8, 8, 3), width=16), (normal(0, 6, 5),), theirs, train=True)


@against("torch", "R3GAN block, 3x3 convolution of 4 groups: gradients", 2e-5)
def r3gan_block():
    def theirs(p, x):
        h = F.leaky_relu(conv(p["Conv_0"], channels_first(x)), 0.2)
        h = F.leaky_relu(conv(p["Conv_1"], h, padding=1, groups=4), 0.2)
        return x + channels_last(conv(p["Conv_2"], h))

    return network(Block(1.0, 4, 2, False, jnp.float32), (normal(0, 3, 6, 6, 8),), theirs, train=True)


@against("torch", "MLP encoder and decoder with batch norm: gradients", 2e-5)
def mlp():
    def hidden(p, h):
        for i in range(2):
            h = F.relu(batch_norm(p["MLP_0"][f"BatchNorm_{i}"], dense(p["MLP_0"][f"Dense_{i}"], h)))
        return h

    yield from network(MLPEncoder((16, 12), batch_norm=True), (normal(0, 20, 3, 2),),
                       lambda p, x: hidden(p, x.reshape(20, -1)), train=True)
    yield from network(MLPDecoder((3, 2), (16, 12), batch_norm=True), (normal(0, 20, 4),),
                       lambda p, z: dense(p["output"], hidden(p, z)).reshape(-1, 3, 2), train=True)


@against("torch", "maxout encoder: gradients", 2e-5)
def maxout():
    def theirs(p, x):
        for i in range(2):
            x = dense(p[f"Dense_{i}"], x).reshape(len(x), 5, 12).amax(1)
        return x

    return network(MaxoutEncoder((12, 12)), (normal(0, 20, 6),), theirs, train=True)


@against("torch", "block of the U-Net, told the level of noise: gradients", 2e-5)
def unet_block():
    def norm(p, x):
        return F.group_norm(x, 8, p["scale"], p["bias"], 1e-6)

    def theirs(p, x, level):
        x = channels_first(x)
        scale, shift = dense(p["Dense_0"], level)[:, :, None, None].chunk(2, 1)
        h = conv(p["Conv_0"], F.silu(norm(p["GroupNorm_0"], x)), padding=1)
        h = conv(p["Conv_1"], F.silu(norm(p["GroupNorm_1"], h) * (1 + scale) + shift), padding=1)
        return channels_last(h + conv(p["Conv_2"], x))

    return network(LevelBlock(16, jnp.float32), (normal(0, 3, 6, 6, 8), normal(1, 3, 10)), theirs)
