"""Predict the classes, labels or values of images with the network of a checkpoint.

Examples:
  trainlab predict ckpt_path=outputs/first/checkpoints/best.ckpt image.png folder/
  trainlab predict ckpt_path=outputs/first/checkpoints/best.ckpt folder/ --top 5
  trainlab predict ckpt_path=outputs/first/checkpoints/best.ckpt folder/ --json
  trainlab predict ckpt_path=outputs/first/checkpoints/best.ckpt folder/ --mc-samples 50
  trainlab predict ckpt_path=outputs/first/checkpoints/best.ckpt folder/ --device cpu
"""

import os
import sys
from io import TextIOWrapper

from trainlab.arguments import (
    add_trust,
    checkpoint_word,
    command_parser,
    count_word,
    parse_arguments,
    path_word,
    run_plain_script,
)
from trainlab.runs.files import describe_os_error


def main() -> None:
    """Print a prediction for each image; exit status 1 if an image cannot be read."""
    parser = command_parser("predict", __doc__)
    parser.add_argument("ckpt_path", type=checkpoint_word, metavar="ckpt_path=PATH", help=".ckpt file of a run")
    parser.add_argument(
        "paths", nargs="+", type=path_word, metavar="PATH", help="image of any size, or a folder of images"
    )
    parser.add_argument(
        "--top", type=count_word, default=3, metavar="K", help="number of most probable classes; default: 3"
    )
    parser.add_argument("--mc-samples", type=count_word, metavar="S", help="samples of MC dropout, for uncertainties")
    parser.add_argument("--mc-seed", type=int, default=0, metavar="SEED", help="seed of the dropout masks; default: 0")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps; default: a GPU if available")
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    add_trust(parser)
    arguments = parse_arguments(parser)

    from trainlab.inference.predict import Predictor
    from trainlab.inference.prediction import show

    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, TextIOWrapper)
        stream.reconfigure(errors="backslashreplace")  # file names can have any encoding
    try:
        samples, seed = arguments.mc_samples, arguments.mc_seed
        predictor = Predictor.load(arguments.ckpt_path, samples, seed, arguments.device, arguments.trust)
        sys.exit(show(predictor.predict(arguments.paths), arguments.top, arguments.json))
    except BrokenPipeError:  # the reader, such as `head`, has closed; Python would flush the rest at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        sys.exit(f"error: {describe_os_error(error, 'ckpt_path')}")
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    run_plain_script(main)
