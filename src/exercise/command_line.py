"""Run the exercises of the book's chapter 11, and write the results as one page.

The same command continues where an earlier one was interrupted.
"""

import argparse
import logging
import shlex
import sys

from exercise.programs import outputs, shown, train_program

PARTS = """
parts:
  1 to 8 (default)    the questions of the chapter
  mistakes (default)  mistakes that others made
  variants            networks of other solutions
  cnn                 convolutional networks of another solution
  best                the best recipe for the network of question 8

settings apply to every training: seed=1,2,3,4,5, trainer=gpu, and others that trainlab train --help lists, but not
name and output_dir, nor with --quick the data set

examples:
  trainlab exercise 8 mistakes
  trainlab exercise data=image_folder data.root=photos
  trainlab exercise variants cnn best --name more
"""


def main() -> None:
    """Train and measure what is missing of the parts named, or of all but those that run only by their names."""
    program, train = shlex.join(shown("exercise")), shlex.join(shown("train"))
    parser = argparse.ArgumentParser(
        prog=program,
        description=__doc__,
        epilog=PARTS.replace("trainlab exercise", program).replace("trainlab train", train),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="*", metavar="part | key=value", help="parts to run, and settings")
    parser.add_argument(
        "--quick", action="store_true", help="use a small embedded data set, to try it out; about two minutes"
    )
    parser.add_argument("--name", help="folder under outputs/; default: exercise, or exercise_quick")
    arguments = parser.parse_intermixed_args()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("exercise").setLevel(logging.INFO)  # and not the messages of libraries

    from exercise.registry import SECTIONS, choose_sections
    from exercise.runner import Exercise
    from exercise.trainings import Setting

    try:
        sections = choose_sections([word for word in arguments.words if "=" not in word])
        setting = Setting(arguments.quick, tuple(word for word in arguments.words if "=" in word))
    except ValueError as error:
        parser.exit(2, f"error: {error}\n")
    folder = outputs() / (arguments.name or ("exercise_quick" if arguments.quick else "exercise"))
    exercise = Exercise(sections, SECTIONS, folder, setting, train_program())
    try:
        print(f"report: {exercise.run()}")
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.exit(f"error: {error.filename or folder}: {error.strerror or error}; set another --name")
    except ValueError as error:
        sys.exit(f"error: {error}")
