"""Networks: Flax modules, one architecture a file.

An encoder maps examples [b ...] to features [b f]; it serves as a VAE's encoder and as a GAN's discriminator.
A decoder maps latents [b d] to an output of a given `shape`, linear at its end; it serves as a VAE's decoder
and as a GAN's generator. What belongs to the family (heads, output activations) is added there. Both take an optional
`condition` [b k] after their input: encoders append it to the input, decoders do what their `conditioning` says.
An encoder of a discriminator may apply a `statistic` of the batch to its maps before its last layer.
A denoiser maps noisy examples [b ...] and their log signal-to-noise ratio [b] to an output of the examples' shape.
"""

from collections import ChainMap

from gen.networks.biggan import BigGANDecoder, BigGANEncoder
from gen.networks.dcgan import DCGANDecoder, DCGANEncoder
from gen.networks.deep_conv import DeepConvEncoder
from gen.networks.denoisers import MLPDenoiser
from gen.networks.gated import GatedMLPDecoder, GatedMLPEncoder
from gen.networks.infogan import InfoGANDecoder, InfoGANEncoder
from gen.networks.mlp import MaxoutEncoder, MLPDecoder, MLPEncoder, PointDecoder
from gen.networks.r3gan import R3GANDecoder, R3GANEncoder
from gen.networks.resnet import ResNetDecoder, ResNetEncoder
from gen.networks.resnet_vae import ResNetVAEDecoder, ResNetVAEEncoder
from gen.networks.sngan import SNGANDecoder, SNGANEncoder
from gen.networks.stylegan2 import StyleGAN2Decoder, StyleGAN2Encoder
from gen.networks.unet import UNet
from gen.networks.unrolled import UnrolledDecoder, UnrolledEncoder

ENCODERS = {
    "mlp": MLPEncoder,
    "maxout": MaxoutEncoder,
    "dcgan": DCGANEncoder,
    "sngan": SNGANEncoder,
    "deep_conv": DeepConvEncoder,
    "infogan": InfoGANEncoder,
    "unrolled": UnrolledEncoder,
    "resnet": ResNetEncoder,
    "r3gan": R3GANEncoder,
    "biggan": BigGANEncoder,
    "stylegan2": StyleGAN2Encoder,
}
"""Name to module, of examples [b ...] to features [b f]."""

DECODERS = {
    "mlp": MLPDecoder,
    "point": PointDecoder,
    "dcgan": DCGANDecoder,
    "sngan": SNGANDecoder,
    "infogan": InfoGANDecoder,
    "unrolled": UnrolledDecoder,
    "resnet": ResNetDecoder,
    "r3gan": R3GANDecoder,
    "biggan": BigGANDecoder,
    "stylegan2": StyleGAN2Decoder,
}
"""Name to module, of latents [b d] to an output [b *shape]."""

VAE_ENCODERS = ChainMap({"gated_mlp": GatedMLPEncoder, "resnet_vae": ResNetVAEEncoder}, ENCODERS)
VAE_DECODERS = ChainMap({"gated_mlp": GatedMLPDecoder, "resnet_vae": ResNetVAEDecoder}, DECODERS)
"""With those that lack what a GAN may ask of its networks: spectral norm, conditional batch norm.

What is added to the tables above is here too.
"""

DENOISERS = {"mlp": MLPDenoiser, "unet": UNet}
"""Name to module, of noisy examples [b ...] and log signal-to-noise ratios [b] to an output of the examples' shape."""
