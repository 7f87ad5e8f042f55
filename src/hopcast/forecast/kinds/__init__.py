"""The kinds of forecasters, one file each; `hopcast.forecast.protocol` finds them."""
