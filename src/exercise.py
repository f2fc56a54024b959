"""Carry the exercise out and write its report: ``python src/exercise.py [part ...] [--quick] [key=value ...]``."""

import argparse
import logging
import sys


def main() -> None:
    """Train and measure what is missing of the parts named, or of all that take no more than an hour together."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", metavar="part | key=value", help="1 to 8 and others; settings of trainings")
    parser.add_argument("--quick", action="store_true", help="on a small embedded data set, to see what comes out")
    parser.add_argument("--name", help="folder under outputs/; default: exercise, or exercise_quick")
    arguments = parser.parse_intermixed_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    from trainlab.cli import PROJECT
    from trainlab.exercise.carry_out import Cancelled, Exercise
    from trainlab.exercise.contents import SECTIONS, chosen
    from trainlab.exercise.trainings import Setting

    overrides = tuple(word for word in arguments.words if "=" in word)
    try:
        sections = chosen([word for word in arguments.words if "=" not in word])
    except ValueError as error:
        parser.exit(2, f"error: {error}\n")
    folder = PROJECT / "outputs" / (arguments.name or ("exercise_quick" if arguments.quick else "exercise"))
    exercise = Exercise(sections, SECTIONS, folder, Setting(arguments.quick, overrides), PROJECT / "src" / "train.py")
    try:
        print(f"report: {exercise.run()}")
    except Cancelled as cancelled:
        sys.exit(cancelled.status)
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
