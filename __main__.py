"""`python -m cadenza` is the command `cadenza`."""

from .bindings.command import main

if __name__ == "__main__":
    main()
