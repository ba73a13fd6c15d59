"""Prepares the weights that scores need: `python scripts/prepare_weights.py --name=inception [--from=FILE]`.

Takes the published checkpoint from FILE (PyTorch's, which is read without PyTorch, or safetensors), or downloads it,
checks its SHA-256, and keeps its tensors as safetensors beside the data sets. Of a network that is published in two
files `--from` is given twice: `--name=lpips_vgg --from=vgg16-397923af.pth --from=vgg.pth`.
"""

from absl import flags

from gen import launch
from gen.errors import lookup
from gen.evaluation.pretrained import lpips, weights
from gen.evaluation.pretrained.networks import NETWORKS
from gen.files import user_path

WEIGHTS = {found.name: found for found in (*(network.published for network in NETWORKS.values()),
                                           *lpips.PUBLISHED.values())}

FLAGS = flags.FLAGS
flags.DEFINE_string("name", None, f"{', '.join(WEIGHTS)}.", required=True)
flags.DEFINE_multi_string("from", [], "A published file; without any, they are downloaded.")
flags.DEFINE_bool("allow_other", False, "Take weights of another hash, whose head is then in every metric's name.")
flags.DEFINE_bool("overwrite", False, "Write weights again that are there.")


def main() -> int:
    published = lookup(WEIGHTS, FLAGS.name, "network")
    if published.path.is_file() and not FLAGS.overwrite:
        print(f"{published.path} is there already; --overwrite writes it again.")
        return 0
    sources = [user_path(source) for source in FLAGS["from"].value]
    path, sha256 = weights.prepare(published, sources, FLAGS.allow_other)
    print(f"{FLAGS.name}: SHA-256 {sha256} of the original, kept in {path}.")
    return 0


if __name__ == "__main__":
    launch.command(main)
