#!/bin/sh
# From a structure file to a lifetime and a report, with pip packages only:
#
#     pip install 'hopcast[tblite]'
#     sh examples/from-structure/run.sh [FOLDER]
#
# Started again after a kill, every command goes on where it was. The second half computes every frame, to judge the forecast;
# in earnest leave it out.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-from-structure}
mkdir -p "$folder"
cp "$here"/*.toml "$folder"
cd "$folder"

[ -f md.h5 ] || hopcast md "$here/cspbi3.extxyz" --equilibration 400 --coupling-time 30 --duration 1000 --store-every 2
hopcast select md.h5 --budget 25 -o sparse
hopcast compute sparse --bands 4,4 --quiet
hopcast run sparse.toml -o forecast --resume

hopcast select md.h5 --budget 250 -o dense
hopcast compute dense --bands 4,4 --quiet
hopcast run dense.toml -o truth --resume
