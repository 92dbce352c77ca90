"""The formats that PRIST is converted to and from; every module has `write` and `read` of PRIST records."""
