#!/bin/sh
# The one command on a machine with a GPU: sh check.sh [OUTPUT.json] [options of bench/gpu/check.mjs].
# Unpacks the bundle's Node into a temporary folder and runs the check with it; needs xz or python3 for that.
set -u
bundle=$(cd "$(dirname "$0")" && pwd) || exit 1
temporary=
trap 'rm -rf "$temporary"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# A place for temporary files may be missing, full, or mounted so that no program in it can be started.
for place in "${TMPDIR:-/tmp}" /tmp "$bundle"; do
  temporary=$(mktemp -d "$place/gru-native-XXXXXX" 2>/dev/null) || continue
  printf '#!/bin/sh\nexit 0\n' >"$temporary/node" && chmod +x "$temporary/node" &&
    "$temporary/node" 2>/dev/null && break
  rm -rf "$temporary"
  temporary=
done
if [ -z "$temporary" ]; then
  echo "expected a folder that programs can be started from, received none: set TMPDIR to one" >&2
  exit 1
fi

if command -v xz >/dev/null 2>&1; then
  xz -dc "$bundle/node.xz" >"$temporary/node"
elif command -v python3 >/dev/null 2>&1; then
  python3 -c 'import lzma, shutil, sys
shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer, 1 << 20)' "$bundle/node.xz" >"$temporary/node"
else
  echo "expected xz or python3 to unpack Node with, received neither: install xz-utils" >&2
  exit 1
fi || exit 1
chmod +x "$temporary/node"

"$temporary/node" "$bundle/bench/gpu/check.mjs" "$@" &
node=$!
trap 'kill -INT "$node"' INT
trap 'kill -TERM "$node"' TERM HUP
code=0
wait "$node" || code=$?
# A signal ends the wait before it ends Node, which still writes what it has.
while kill -0 "$node" 2>/dev/null; do
  code=0
  wait "$node" || code=$?
done
exit "$code"
