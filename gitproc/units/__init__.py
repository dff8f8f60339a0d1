"""The unit language: from bytes of unit files to effective, validated units. Pure."""
