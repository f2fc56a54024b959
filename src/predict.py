"""Classify images: ``python src/predict.py ckpt_path=... image.png folder/ --top 3 [--mc-samples 50]``."""

import argparse
import os
import sys
from io import TextIOWrapper

from trainlab.cli import checkpoint_word, count_word, parse_arguments, path_word, run_plain_script
from trainlab.runs.files import describe_os_error


def main() -> None:
    """Print what the network says of each image; exit status 1 where one cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ckpt_path", type=checkpoint_word, metavar="ckpt_path=PATH", help=".ckpt file of a run")
    parser.add_argument("paths", nargs="+", type=path_word, metavar="PATH", help="image of any size, or folder of them")
    parser.add_argument("--top", type=count_word, default=3, metavar="K", help="most probable classes; default: 3")
    parser.add_argument("--mc-samples", type=count_word, metavar="S", help="MC dropout: how sure the network is")
    parser.add_argument("--mc-seed", type=int, default=0, metavar="SEED", help="another one drops other units")
    parser.add_argument("--device", default="auto", help="auto cpu cuda mps; default: a GPU if there is one")
    parser.add_argument("--json", action="store_true", help="an object a line, in the place of the table")
    arguments = parse_arguments(parser)

    from trainlab.inference.predict import Predictor
    from trainlab.inference.predictions import show

    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, TextIOWrapper)
        stream.reconfigure(errors="backslashreplace")  # names of files can be in any encoding
    try:
        samples, seed = arguments.mc_samples, arguments.mc_seed
        predictor = Predictor.load(arguments.ckpt_path, samples, seed, arguments.device)
        sys.exit(show(predictor.predict(arguments.paths), arguments.top, arguments.json))
    except BrokenPipeError:  # who reads, like `head`, has enough; at the exit Python would write what is left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        sys.exit(f"error: {describe_os_error(error, 'ckpt_path')}")
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    run_plain_script(main)
