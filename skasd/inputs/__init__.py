"""From clips to what a network is fed: tensors of one length, and the classes to tell apart."""
