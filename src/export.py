"""Write the network of a checkpoint in a format that other programs read."""

from trainlab.arguments import run_plain_script
from trainlab.commands.export import main

if __name__ == "__main__":
    run_plain_script(main)
