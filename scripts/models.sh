#!/bin/sh
# Makes a model that ships, from its data to its folder:
#
#     scripts/models.sh sentiment DATA OUT    DATA has imdb/train.csv, sst2/train.csv and tweets/train.csv
#     scripts/models.sh shakespeare DATA OUT  DATA has tinyshakespeare/input.txt
#     scripts/models.sh en-fr DATA OUT        DATA has tatoeba.tsv: a sentence in English, and one in French
#
# OUT is a folder for the runs; OUT/MODEL is the model. A run that was interrupted goes on with the same command. What the
# data are and what they come from is in checkpoints/README.md; the times are for two cores.
set -eu

if [ $# -ne 3 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit 2
fi
model=$1 data=$2 out=$3
corpora=$(dirname "$0")/../corpora
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
sentiment)
    # A file that is named twice counts twice. The first run's language model is what the second one goes on from; its
    # own classifier is not used.
    set -- "$data/tweets/train.csv" "$data/imdb/train.csv" "$data/sst2/train.csv" \
        "$corpora/reviews.csv" "$corpora/verdicts.csv"
    train "$out/first" train-classifier "$@" --time 75m --vocab-size 22000 --embedding-size 320 --hidden-size 384
    train "$out/labels" train-classifier "$@" "$data/sst2/train.csv" "$corpora/reviews.csv" "$corpora/verdicts.csv" \
        "$corpora/everyday.csv" "$corpora/everyday.csv" "$corpora/everyday.csv" \
        --from "$out/first/language-model" --time 46m
    "$carousel" export -m "$out/labels" -o "$out/$model" --precision f16
    ;;
shakespeare)
    train "$out/letters" train "$data/tinyshakespeare/input.txt" --time 12m
    "$carousel" export -m "$out/letters" -o "$out/$model" --precision f16
    ;;
en-fr)
    train "$out/pairs" train-translator "$data/tatoeba.tsv" --time 70m --vocab-size 8000 --dropout 0.15 \
        --learning-rate 0.003 --seed 1
    "$carousel" export -m "$out/pairs" -o "$out/$model" --precision int8
    ;;
*)
    echo "there is no model $model here; it is one of sentiment, shakespeare, en-fr" >&2
    exit 2
    ;;
esac
cp "$(dirname "$0")/../checkpoints/$model/card.md" "$out/$model/"
