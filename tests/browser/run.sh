#!/bin/sh
# Tries the page in Chromium, against a server of its own: what `make test-browser` runs. Options are page.py's.
set -eu
cd "$(dirname "$0")/../.."
# 3: what it needs is not here and cannot be installed.
if ! command -v "${CHROMIUM:-chromium}" >/dev/null; then
    if [ -n "${CHROMIUM:-}" ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null ||
        ! { apt-get update && apt-get install --yes --no-install-recommends chromium; } >/dev/null 2>&1; then
        echo "the page is tried in Chromium: install your system's package chromium, or name the program in CHROMIUM" >&2
        exit 3
    fi
fi
venv=target/test-browser
[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/pip" install --quiet -r tests/browser/packages.txt || exit 3
log=$venv/serve.log
runs=$venv/runs
rm -rf "$runs"
mkdir "$runs"
target/release/carousel serve --port 0 --runs "$runs" --allow-training 2>"$log" &
server=$!
trap 'kill $server' EXIT
# The whole of the line, which may come in parts.
until address=$(grep -om 1 'http://127.0.0.1:[0-9]*; Ctrl-C ends' "$log"); do
    kill -0 $server || { cat "$log" >&2; exit 1; }
    sleep 0.2
done
"$venv/bin/python" tests/browser/page.py "${address%%;*}" --pictures "$venv/pictures" "$@"
