"""The stages of a study, one file each; `hopcast.study.stage` finds them."""
