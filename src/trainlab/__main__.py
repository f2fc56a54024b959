"""`python -m trainlab`, the same as `trainlab`."""

from trainlab.commands import main

if __name__ == "__main__":
    main()
