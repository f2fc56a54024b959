"""Run the exercises of the book's chapter 11, and write the results as one page.

What is trained and measured already is not repeated: the same command continues where it was cut short.
"""

import argparse
import logging
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PARTS = """
parts: 1 to 8 (the questions) and mistakes, which run unless others are named; variants and cnn (networks of other
solutions) and best (the best recipe), which take longer

settings, of every training: data=image_folder data.root=DIR (images in DIR/train/<class>/ and DIR/test/<class>/, and no
download), seed=1,2,3,4,5, trainer=gpu, and all others that python src/train.py --help lists

  python src/exercise.py --quick
  python src/exercise.py 8 mistakes data=image_folder data.root=DIR
"""


def main() -> None:
    """Train and measure what is missing of the parts named, or of all that take no more than an hour together."""
    parser = argparse.ArgumentParser(
        prog="exercise.py", description=__doc__, epilog=PARTS, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="part | key=value", help="what to run; settings")
    parser.add_argument("--quick", action="store_true", help="on a small embedded data set, to see what comes out")
    parser.add_argument("--name", help="folder under outputs/; default: exercise, or exercise_quick")
    arguments = parser.parse_intermixed_args()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("exercise").setLevel(logging.INFO)  # and not the messages of libraries

    from exercise.registry import SECTIONS, chosen
    from exercise.runner import Cancelled, Exercise
    from exercise.trainings import Setting

    try:
        sections = chosen([word for word in arguments.words if "=" not in word])
        setting = Setting(arguments.quick, tuple(word for word in arguments.words if "=" in word))
    except ValueError as error:
        parser.exit(2, f"error: {error}\n")
    folder = PROJECT / "outputs" / (arguments.name or ("exercise_quick" if arguments.quick else "exercise"))
    exercise = Exercise(sections, SECTIONS, folder, setting, PROJECT / "src" / "train.py")
    try:
        print(f"report: {exercise.run()}")
    except Cancelled as cancelled:
        sys.exit(cancelled.status)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.exit(f"error: {error.filename or folder}: {error.strerror or error}; set another --name")
    except ValueError as error:
        sys.exit(f"error: {error}")
