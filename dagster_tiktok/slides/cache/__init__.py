"""The bounded disk cache of slides."""
