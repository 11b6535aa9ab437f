#!/bin/sh
# Makes a model that ships, from its data to its folder:
#
#     scripts/models.sh en-fr DATA OUT     DATA has tatoeba.tsv: a sentence in English, and one in French
#
# OUT is a folder for the runs; OUT/MODEL is the model. A run that was interrupted goes on with the same command. What the
# data are and where they come from is in the model's card; the times are for two cores.
set -eu

if [ $# -ne 3 ]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit 2
fi
model=$1 data=$2 out=$3
carousel=${CAROUSEL:-carousel}
mkdir -p "$out"

# Trains in a folder, or goes on: train FOLDER COMMAND DATA... OPTIONS.
train() {
    folder=$1 command=$2
    shift 2
    if [ -f "$folder/training.json" ]; then
        "$carousel" "$command" --resume "$folder"
    else
        "$carousel" "$command" "$@" -o "$folder"
    fi
}

case $model in
en-fr)
    train "$out/pairs" train-translator "$data/tatoeba.tsv" --time 70m --vocab-size 8000 --dropout 0.15 \
        --learning-rate 0.003 --seed 1
    "$carousel" export -m "$out/pairs" -o "$out/$model" --precision int8
    ;;
*)
    echo "there is no model $model here; it is en-fr" >&2
    exit 2
    ;;
esac
cp "$(dirname "$0")/../checkpoints/$model/card.md" "$out/$model/"
