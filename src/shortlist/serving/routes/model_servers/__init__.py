"""The protocols of two common model servers, so that their clients can ask."""
