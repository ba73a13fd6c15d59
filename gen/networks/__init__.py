"""Networks: Flax modules, one architecture a file.

An encoder maps examples [b ...] to features [b f]; it serves as a VAE's encoder and as a GAN's discriminator.
A decoder maps latents [b d] to an output of a given `shape`, linear at its end; it serves as a VAE's decoder
and as a GAN's generator. What belongs to the family (heads, output activations) is added there.
"""

from gen.networks.dcgan import DCGANDecoder, DCGANEncoder
from gen.networks.mlp import MaxoutEncoder, MLPDecoder, MLPEncoder

ENCODERS = {"mlp": MLPEncoder, "maxout": MaxoutEncoder, "dcgan": DCGANEncoder}
DECODERS = {"mlp": MLPDecoder, "dcgan": DCGANDecoder}
