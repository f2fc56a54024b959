"""Write the network of a checkpoint in a format that other programs read.

Examples:
  trainlab export ckpt_path=outputs/first/checkpoints/best.ckpt --format torch_export
  trainlab export ckpt_path=outputs/first/checkpoints/best.ckpt --format onnx
  trainlab export ckpt_path=outputs/first/checkpoints/best.ckpt --format onnx --out first.onnx
"""

import sys

from trainlab.arguments import checkpoint_word, command_parser, parse_arguments, path_word, run_plain_script
from trainlab.runs.files import describe_os_error


def main() -> None:
    """Write the exported network and print its path."""
    parser = command_parser("export", __doc__)
    parser.add_argument("ckpt_path", type=checkpoint_word, metavar="ckpt_path=PATH", help=".ckpt file of a run")
    parser.add_argument(
        "--format", required=True, choices=("onnx", "torch_export"), help="onnx needs pip install 'trainlab[export]'"
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
