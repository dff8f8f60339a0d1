"""Where desired state comes from: the git repository."""
