"""Runs the lecture: every chapter's figure, its numbers, and whether its claim holds, as one page.

    python scripts/lecture.py [--only=NAME,NAME] [--out=runs/lecture]

Writes <out>/lecture.html, of one chapter <out>/<chapter>.html, as soon as the first chapter is computed, and again
after each; of each also its pictures, its numbers and a notebook. Trained models are below <out>/<chapter>/, and are
not trained again. Exit codes: 0; 1 where a claim does not hold, or an error, explained in one line.
"""

from pathlib import Path

from absl import flags

from gen import launch, lecture

FLAGS = flags.FLAGS
flags.DEFINE_list("only", list(lecture.LESSONS), "Names of lessons; by default all, in order.")
flags.DEFINE_string("out", "runs/lecture", "Folder of the page, the pictures and the models.")


def main() -> int:
    lessons = lecture.give(FLAGS.only, Path(FLAGS.out))
    return int(not all(lesson.holds for lesson in lessons.values()))


if __name__ == "__main__":
    launch.command(main)
