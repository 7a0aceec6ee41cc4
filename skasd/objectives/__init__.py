"""What each system minimises: a network, its losses and its augmentation, and how they are trained."""
