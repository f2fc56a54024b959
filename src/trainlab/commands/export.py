"""Write the network of a checkpoint in a format that other programs read.

Examples:
  python src/export.py ckpt_path=outputs/first/checkpoints/best.ckpt --format torch_export
  python src/export.py ckpt_path=outputs/first/checkpoints/best.ckpt --format onnx
  python src/export.py ckpt_path=outputs/first/checkpoints/best.ckpt --format onnx --out first.onnx
"""

import argparse
import sys

from trainlab.arguments import checkpoint_word, parse_arguments, path_word, run_plain_script
from trainlab.runs.files import describe_os_error


def main() -> None:
    """Write the exported network and print its path."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ckpt_path", type=checkpoint_word, metavar="ckpt_path=PATH", help=".ckpt file of a run")
    parser.add_argument(
        "--format", required=True, choices=("onnx", "torch_export"), help="onnx needs pip install -e '.[export]'"
    )
    parser.add_argument(
        "--out", type=path_word, help="file to write; default: model.onnx or model.pt2 in the run's folder"
    )
    arguments = parse_arguments(parser)

    from trainlab.inference.export import export_checkpoint

    try:
        export_checkpoint(arguments.ckpt_path, arguments.format, arguments.out)
    except OSError as error:
        sys.exit(f"error: {describe_os_error(error, '--out')}")
    except (ValueError, ArithmeticError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    run_plain_script(main)
