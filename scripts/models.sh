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

# The column text of tables, a text after another.
texts() {
    python3 -c 'import csv, sys
csv.field_size_limit(10**9)
for name in sys.argv[1:]:
    for row in csv.DictReader(open(name, encoding="utf-8", newline="")):
        print(row["text"].replace("<br />", "\n"))' "$@"
}

case $model in
sentiment)
    # A language model of all texts, in two runs.
    set -- "$data/tweets/train.csv" "$data/imdb/train.csv" "$data/sst2/train.csv" \
        "$corpora/reviews.csv" "$corpora/verdicts.csv" "$corpora/everyday.csv"
    [ -f "$out/texts.txt" ] || { texts "$@" >"$out/texts.new" && mv "$out/texts.new" "$out/texts.txt"; }
    train "$out/texts-1" train "$out/texts.txt" --level word --time 25m --vocab-size 22000 --embedding-size 320 \
        --hidden-size 384 --interpolate=false
    train "$out/texts-2" train "$out/texts.txt" --level word --time 38m --vocab-size 22000 --from "$out/texts-1" \
        --learning-rate 0.004 --dropout 0.25 --interpolate=false
    # Labels. A file that is named twice counts twice: negative tweets are rare, sentences are short.
    negative=$out/tweets-negative.csv
    { head -n 1 "$data/tweets/train.csv" && grep '^negative,' "$data/tweets/train.csv"; } >"$negative"
    train "$out/labels" train-classifier "$data/tweets/train.csv" "$negative" "$negative" "$data/imdb/train.csv" \
        "$data/sst2/train.csv" "$data/sst2/train.csv" "$data/sst2/train.csv" \
        "$corpora/reviews.csv" "$corpora/reviews.csv" "$corpora/verdicts.csv" "$corpora/verdicts.csv" \
        "$corpora/everyday.csv" "$corpora/everyday.csv" "$corpora/everyday.csv" \
        --from "$out/texts-2" --class-weights none --time 47m
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
