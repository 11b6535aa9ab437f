#!/bin/sh
# Makes a model that ships, from its data to its folder:
#
#     scripts/models.sh sentiment DATA OUT    DATA has tweets/train.csv, imdb/train.csv and sst2/train.csv
#     scripts/models.sh shakespeare DATA OUT  DATA has tinyshakespeare/input.txt
#     scripts/models.sh en-fr DATA OUT        DATA has tatoeba.tsv: a sentence in English, and one in French
#
# OUT is a folder for the runs; OUT/MODEL is the model. A run that was interrupted goes on with the same command. What the
# data are and where they come from is in the model's card; the times are for two cores.
set -eu

if [ $# -ne 3 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit 2
fi
model=$1 data=$2 out=$3
carousel=${CAROUSEL:-carousel}
corpora=$(dirname "$0")/../corpora
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
    # Films first: the language model of the first run, which takes a third of it, and labels. A file that is named twice
    # counts twice.
    set -- "$data/imdb/train.csv" "$data/sst2/train.csv"
    former="--preprocessing none --class-weights none"
    # shellcheck disable=SC2086
    train "$out/both" train-classifier "$@" --time 40m --vocab-size 20000 --hidden-size 384 --embedding-size 384 $former
    # shellcheck disable=SC2086
    train "$out/films" train-classifier "$@" "$data/sst2/train.csv" "$data/sst2/train.csv" \
        "$corpora/reviews.csv" "$corpora/reviews.csv" "$corpora/verdicts.csv" "$corpora/verdicts.csv" \
        --from "$out/both/language-model" --time 45m --adversarial 1 $former
    # Then whatever people write. Negative tweets are rare: with three copies of each, labels are about as frequent in the
    # tweets. Of the long reviews a third is enough now.
    negative=$out/tweets-negative.csv some=$out/imdb-some.csv
    { head -n 1 "$data/tweets/train.csv" && grep '^negative,' "$data/tweets/train.csv"; } >"$negative"
    head -n 8001 "$data/imdb/train.csv" >"$some"
    train "$out/labels" train-classifier "$data/tweets/train.csv" "$negative" "$negative" "$some" \
        "$data/sst2/train.csv" "$data/sst2/train.csv" \
        "$corpora/reviews.csv" "$corpora/reviews.csv" "$corpora/verdicts.csv" "$corpora/verdicts.csv" \
        "$corpora/everyday.csv" "$corpora/everyday.csv" "$corpora/everyday.csv" \
        --from "$out/films" --preprocessing plain --class-weights none --time 28m
    "$carousel" export -m "$out/labels" -o "$out/$model" --precision f16
    ;;
en-fr)
    train "$out/pairs" train-translator "$data/tatoeba.tsv" --time 70m --vocab-size 8000 --dropout 0.15 \
        --learning-rate 0.003 --seed 1
    "$carousel" export -m "$out/pairs" -o "$out/$model" --precision int8
    ;;
shakespeare)
    train "$out/plays" train "$data/tinyshakespeare/input.txt" --time 12m
    "$carousel" export -m "$out/plays" -o "$out/$model" --precision f16
    ;;
*)
    echo "there is no model $model here; it is sentiment, en-fr or shakespeare" >&2
    exit 2
    ;;
esac
cp "$(dirname "$0")/../checkpoints/$model/card.md" "$out/$model/"
