"""The formats, one file each; see `hopcast.io.registry` for what a file must declare."""
