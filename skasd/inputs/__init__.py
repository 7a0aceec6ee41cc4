"""Conversion of clips to network inputs of one length, and to the classes that a network is trained on."""
