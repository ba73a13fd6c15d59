"""Measures images by the outputs of a network; the last line printed is one JSON object.

    python scripts/measure.py --samples=X --reference=Y [--metrics=fid,kid,is,prdc,sfid] [--resize=tf1]
    python scripts/measure.py --samples=X --reference=Y --network=dinov2_vitl14 [--metrics=fd,kd,prdc]
    python scripts/measure.py --samples=X --reference=Y --metrics=lpips_vgg

X and Y are a folder of images, an npz file of them (ADM's layout), a run's folder (--n, --seed, --step), or a data
set's name and split, as cifar10:train; Y may be an npz file of statistics (mu, sigma) too. Metrics say their protocol.
The same command again goes on where one was killed. Weights: scripts/prepare_weights.py. `lpips_vgg`, `lpips_alex`:
the mean distance of each sample and the reference image of the same place.
"""

import json
import sys

from absl import flags

from gen import commands, launch, measurement
from gen.evaluation.kernel import SUBSET
from gen.evaluation.pretrained import scores
from gen.evaluation.pretrained.networks import NETWORKS
from gen.measurement import measuring
from gen.signals import STOPPED

FLAGS = flags.FLAGS
flags.DEFINE_string("samples", None, "Images to measure.", required=True)
flags.DEFINE_string("reference", None, "Images, or statistics, to compare them with.")
flags.DEFINE_string("real", None, "Other real images, measured as the samples are: their metrics end in _real.")
flags.DEFINE_string("network", "inception", f"Whose outputs are compared: {', '.join(measuring.METRICS)}.")
flags.DEFINE_list("metrics", None, "The Frechet distance, or some of: " + "; ".join(
    f"{network}: {', '.join(names)}" for network, names in measuring.METRICS.items()) + ".")
flags.DEFINE_bool("extrapolate", False, "FID at an infinite number of samples too: fid_infinity, or fd_infinity.")
flags.DEFINE_string("resize", None, "Rule; of Inception tf1 (usual), half_pixel or clean, of DINOv2 "
                    "pillow (usual), clean or unclipped.")
flags.DEFINE_integer("n", 0, "Samples: the first so many, or drawn of a run; 0 for all, of a run 50,000.", 0)
flags.DEFINE_integer("seed", 0, "Seed of a run's samples.")
flags.DEFINE_string("step", None, "Step of a run's checkpoint, or 'best'; the newest by default.")
flags.DEFINE_bool("skip_bad", False, "Leave files out that cannot be read.")
flags.DEFINE_integer("subset", SUBSET, "Images of each of KID's subsets.")
flags.DEFINE_integer("splits", scores.SPLITS, "Parts of the Inception score.")
flags.DEFINE_integer("k", scores.NEIGHBOURS, "Neighbours of precision and recall: 3 in StyleGAN and ADM, 5 in prdc.")
flags.DEFINE_integer("most", scores.MOST, "Images of each set, at most, of precision and recall.")
flags.DEFINE_string("save_statistics", None, "Write the reference's mean and covariance to this npz file.")
flags.DEFINE_bool("keep", False, "Keep the outputs of the samples on the disk for other metrics later.")
flags.DEFINE_string("compilation_cache", None, "Folder that keeps compiled programs for later runs; by "
                    "default ~/.cache/gen/programs, which stays below 2 GiB; none keeps none.")


def main() -> int:
    try:
        print(json.dumps(measured()))
    except KeyboardInterrupt:
        print("Stopped. The same command again goes on from there.", file=sys.stderr)
        return STOPPED
    return 0


def measured() -> dict:
    """The scores that the flags ask for."""
    names = FLAGS.metrics
    if FLAGS.extrapolate and (network := NETWORKS.get(FLAGS.network)):
        names = [*(names or [network.score]), network.extrapolated]
    return measurement.measure(
        FLAGS.samples, FLAGS.reference, names, network=FLAGS.network, real=FLAGS.real, resize=FLAGS.resize, n=FLAGS.n,
        step=commands.checkpoint_step(FLAGS.step), seed=FLAGS.seed, skip_bad=FLAGS.skip_bad, subset=FLAGS.subset,
        splits=FLAGS.splits, k=FLAGS.k, most=FLAGS.most, keep=FLAGS.keep, save_statistics=FLAGS.save_statistics,
        tell=lambda text: print(text, file=sys.stderr, flush=True))


if __name__ == "__main__":
    launch.command(main)
