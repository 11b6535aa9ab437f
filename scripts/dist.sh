#!/bin/sh
# Packs an archive that needs neither Rust nor libtorch: the `carousel` program, linked statically, and the models in
# checkpoints/. With TRAIN=1 also `carousel-train` and the libtorch libraries, for machines with the same C and C++
# libraries as this one or newer.
#
#     make dist            target/dist/carousel-VERSION-MACHINE.tar.gz
#     make dist TRAIN=1    target/dist/carousel-train-VERSION-MACHINE.tar.gz
set -eu
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
machine=$(uname -m)-linux
name=carousel${TRAIN:+-train}-$version-$machine
target=$(rustc -vV | sed -n 's/^host: //p')
dist=target/dist
root=$dist/$name

RUSTFLAGS="-C target-feature=+crt-static -C strip=symbols" \
    "${CARGO:-cargo}" build --release --locked --package carousel --target "$target" --target-dir "$dist/build"

rm -rf "$root"
mkdir -p "$root/bin" "$root/share/carousel"
cp "$dist/build/$target/release/carousel" "$root/bin/"
cp LICENSE README.md "$root/"
for model in checkpoints/*/; do
    if [ -f "$model/model.safetensors" ]; then
        shipped=$root/share/carousel/$(basename "$model")
        mkdir "$shipped"
        for file in config.json tokenizer.json model.safetensors training.json card.md; do
            cp "$model/$file" "$shipped/"
        done
        echo "dist: with the model $(basename "$model")"
    fi
done
if [ -n "${TRAIN:-}" ]; then
    mkdir -p "$root/lib/carousel"
    cp target/release/carousel-train "$root/bin/"
    # Libraries from the folder of libtorch; all others belong to the system.
    libc10=$(ldd target/release/carousel-train | sed -n 's/.*libc10\.so => \(\/[^ ]*\).*/\1/p')
    if [ -z "$libc10" ]; then
        echo "dist: carousel-train does not find its libtorch; run make build" >&2
        exit 1
    fi
    folder=$(cd "$(dirname "$libc10")" && pwd -P)
    ldd target/release/carousel-train | sed -n 's/.* => \([^ ]*\) (.*/\1/p' | while read -r library; do
        if [ "$(cd "$(dirname "$library")" && pwd -P)" = "$folder" ]; then
            cp -L "$library" "$root/lib/carousel/"
        fi
    done
fi
tar -C "$dist" -czf "$root.tar.gz" "$name"
echo "dist: $root.tar.gz, $(du -h "$root.tar.gz" | cut -f 1)"
