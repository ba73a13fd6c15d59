"""Prepares the weights that scores need: `python scripts/prepare_weights.py --name=inception [--from=FILE]`.

Takes the published checkpoint from FILE (PyTorch's, which is read without PyTorch, or safetensors), or downloads it,
checks its SHA-256, and keeps its tensors as safetensors beside the data sets.
"""

from absl import flags

from gen import launch
from gen.errors import lookup
from gen.evaluation.inception import weights
from gen.files import user_path

FLAGS = flags.FLAGS
flags.DEFINE_string("name", None, "inception.", required=True)
flags.DEFINE_string("from", None, "The published file; without it, it is downloaded.")
flags.DEFINE_bool("allow_other", False, "Take weights of another hash, whose head is then in every metric's name.")
flags.DEFINE_bool("overwrite", False, "Write weights again that are there.")


def main() -> int:
    lookup({"inception": weights}, FLAGS.name, "network")
    if weights.place().is_file() and not FLAGS.overwrite:
        print(f"{weights.place()} is there already; --overwrite writes it again.")
        return 0
    source = FLAGS["from"].value
    path, sha256 = weights.prepare(user_path(source) if source else None, FLAGS.allow_other)
    print(f"{FLAGS.name}: SHA-256 {sha256} of the original, kept in {path}.")
    return 0


if __name__ == "__main__":
    launch.command(main)
