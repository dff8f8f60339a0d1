"""The socket: JSON-RPC 2.0, the plain form of requests, server and client."""
