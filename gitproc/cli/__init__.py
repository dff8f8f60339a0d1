"""The command line: verbs and rendering; knows the socket."""
