"""The commands beside `up` and `demo`: each reads its arguments, calls one function and prints."""
