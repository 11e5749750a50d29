#!/bin/sh
# What the project does on a GPU, in two parts; needs PyTorch, timm, pyarrow and pytest, no Snakemake.
#   tests/gpu/measure.sh 1 <folder>   tests/gpu and the benches, at most 300 s: tests.txt, bench.json, bench.txt
#   tests/gpu/measure.sh 2 <folder>   hard and soft labels of the paper's synthetic half at 160 px, at most 400 s:
#                                     pair.json, pair.txt, and the history and predictions of each
# More words go to bench.py or pair.py; PYTHON names another Python than python3. What there is when the time is over stays.
python=${PYTHON:-python3}
part=$1
folder=$2
mkdir -p "$folder" && folder=$(cd "$folder" && pwd) && shift 2 || exit
cd "$(dirname "$0")/../.." || exit
PYTHONPATH=workflow:tests
PYTHONUNBUFFERED=1
CUBLAS_WORKSPACE_CONFIG=:4096:8 # what trainings set for themselves
export PYTHONPATH PYTHONUNBUFFERED CUBLAS_WORKSPACE_CONFIG
case $part in
1)
    begun=$(date +%s)
    timeout 150 "$python" -m pytest -q -p no:cacheprovider --durations=10 tests/gpu >"$folder/tests.txt" 2>&1
    failed=$?
    tail -n 60 "$folder/tests.txt"
    timeout $((300 - $(date +%s) + begun)) "$python" tests/gpu/bench.py "$folder/bench.json" "$@" >"$folder/bench.txt" 2>&1
    benched=$?
    cat "$folder/bench.txt"
    exit $((failed ? failed : benched))
    ;;
2)
    timeout 400 "$python" tests/gpu/pair.py "$folder" "$@" >"$folder/pair.txt" 2>&1
    failed=$?
    tail -n 60 "$folder/pair.txt"
    exit $failed
    ;;
*)
    echo "usage: tests/gpu/measure.sh 1|2 <folder> [more]" >&2
    exit 2
    ;;
esac
