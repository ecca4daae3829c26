"""The operations as an application, on a socket, in one process or in several."""
