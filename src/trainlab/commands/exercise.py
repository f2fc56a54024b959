"""Run the exercises of the book's chapter 11: ``trainlab exercise --quick``."""

from exercise.command_line import main

if __name__ == "__main__":
    main()
