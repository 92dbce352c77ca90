"""`python -m miras`, the same as the command `miras`."""

from miras.cli import app

if __name__ == "__main__":
    app(prog_name="miras")
