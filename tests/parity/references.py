"""PyTorch beside JAX: arrays as float64 tensors, gradients, and layers that read our parameters."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.parity.comparisons import optional

torch = optional("torch")
F = torch and torch.nn.functional


def normal(seed: int, *shape: int) -> jax.Array:
    """Standard normal float32 numbers."""
    return jnp.float32(np.random.default_rng(seed).normal(size=shape))


def randomised(tree, seed: int = 0, scale: float = 0.3):
    """Parameters of the same shapes, all of them random: layers that begin at 0 take part."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda v: jnp.float32(scale * rng.normal(size=v.shape)), tree)


def tensors(tree):
    """float64 tensors whose gradients can be taken."""
    return jax.tree.map(lambda v: torch.tensor(np.float64(v), requires_grad=True), tree)


def arrays(tree):
    """Tensors as NumPy arrays."""
    return jax.tree.map(lambda v: v.detach().numpy(), tree)


def gradients(value, tree):
    """d value / d tree, in the shape of the tree; 0 where value does not depend on it."""
    leaves, structure = jax.tree.flatten(tree)
    found = torch.autograd.grad(value, leaves, allow_unused=True, retain_graph=True)
    return jax.tree.unflatten(structure, [np.zeros(leaf.shape) if g is None else g.numpy()
                                          for g, leaf in zip(found, leaves, strict=True)])


def channels_first(x):
    """[b h w c] to [b c h w]."""
    return x.permute(0, 3, 1, 2)


def channels_last(x):
    """[b c h w] to [b h w c]."""
    return x.permute(0, 2, 3, 1)


def dense(p, x):
    """Our Dense of a vector."""
    return F.linear(x, p["kernel"].T, p.get("bias"))


def conv(p, x, stride=1, padding=0, groups=1):
    """Our Conv, of maps [b c h w]; `padding` on each side."""
    return F.conv2d(x, p["kernel"].permute(3, 2, 0, 1), p.get("bias"), stride, padding, groups=groups)


def conv_transpose(p, x, stride=2, padding=1):
    """Our ConvTranspose, of maps [b c h w]: PyTorch's has the kernel flipped."""
    return F.conv_transpose2d(x, p["kernel"].flip(0, 1).permute(2, 3, 0, 1), p.get("bias"), stride, padding)


def batch_norm(p, x, eps=1e-5):
    """Our BatchNorm in training, of vectors or maps with the channels second."""
    return F.batch_norm(x, None, None, p["scale"], p["bias"], True, 0.0, eps)
