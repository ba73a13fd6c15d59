"""Makes a model of this project of the weights of a published PyTorch GAN.

    python scripts/import_weights.py --layout=dcgan --generator=netG.pth --out=FOLDER [--discriminator=netD.pth]

Layouts: dcgan (pytorch/examples), sngan and sngan_resnet (w86763777/pytorch-gan-collections), mimicry_sngan
(kwotsin/mimicry), r3gan (brownvc/R3GAN).
The files are `torch.save(network.state_dict(), PATH)` or safetensors; PyTorch is not needed to read them, and anything
but tensors in them is refused. `gen.load(FOLDER)` is then the model; sample.py, measure.py and explore.py take the
folder as --workdir.
"""

from pathlib import Path

from absl import flags

from gen import importing, launch
from gen.files import user_path
from gen.storage.torch_layouts import LAYOUTS

FLAGS = flags.FLAGS
flags.DEFINE_string("layout", None, f"One of {', '.join(LAYOUTS)}.", required=True)
flags.DEFINE_string("generator", None, "File of the generator's tensors.", required=True)
flags.DEFINE_string("discriminator", None, "File of the discriminator's; without it, it has its initial values.")
flags.DEFINE_string("out", None, "The folder to write.", required=True)


def main() -> int:
    other: Path | None = user_path(FLAGS.discriminator) if FLAGS.discriminator else None
    folder = importing.import_weights(FLAGS.layout, user_path(FLAGS.generator), other, user_path(FLAGS.out))
    print(f"{folder} has the model: python scripts/sample.py --workdir={folder} --n=64 --out=samples.png")
    return 0


if __name__ == "__main__":
    launch.command(main)
