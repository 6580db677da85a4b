"""`python -m onhand` is `onhand`."""

from onhand.command_line import main

if __name__ == "__main__":
    main()
